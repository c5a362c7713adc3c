"""What ingest remembers (SQL) and keeps (frames in the artifact store)."""

from autoisp_ingest.store.frames import ZarrFrameStore
from autoisp_ingest.store.repository import SqlIngestStore
from autoisp_ingest.store.tables import metadata, outbox

__all__ = ["SqlIngestStore", "ZarrFrameStore", "metadata", "outbox"]

"""The SQL side of :class:`autoisp_ingest.usecases.IngestStore`."""

from __future__ import annotations

from collections.abc import Callable

from autoisp_runtime.database import Database
from autoisp_runtime.outbox import Outbox

from autoisp_ingest.domain import Clip
from autoisp_ingest.store.clip_rows import ClipRows, OutgoingEvent
from autoisp_ingest.store.dataset_rows import DatasetRows


class SqlIngestStore(ClipRows, DatasetRows):
    """Clips, unowned frames and datasets in SQLite or PostgreSQL.

    Args:
        database: migrated.
        outbox: of the same database.
        clip_ingested: encodes the event that a new clip is announced with.
    """

    def __init__(
        self, database: Database, outbox: Outbox, clip_ingested: Callable[[Clip], OutgoingEvent]
    ) -> None:
        ClipRows.__init__(self, database, outbox, clip_ingested)
        DatasetRows.__init__(self, database)

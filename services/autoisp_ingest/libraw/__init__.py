"""Camera raw files, read by LibRaw in a process of its own: what its many decoders trip over ends there."""

from autoisp_ingest.libraw.protocol import RawFacts, RawSizes
from autoisp_ingest.libraw.reader import RawError, RawReader

__all__ = ["RawError", "RawFacts", "RawReader", "RawSizes"]

"""The one entry to decoding: what kind of source it is, and which limits hold."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import av.logging

from autoisp_ingest.decoding.still_tar import open_still_tar
from autoisp_ingest.decoding.video import open_video
from autoisp_ingest.domain import TAR_SUFFIX, Footage, FootageLimits, UploadHeader

# The codecs' own chatter has no request to belong to; what matters of it comes back as an exception.
av.logging.set_level(av.logging.PANIC)


class AvDecoder:
    """Decodes with FFmpeg's libraries through PyAV.

    Args:
        limits: what one clip may take.
        threads: of one video decoder; 0 lets FFmpeg choose.
    """

    def __init__(self, limits: FootageLimits, threads: int = 0) -> None:
        self._limits = limits
        self._threads = threads

    def open(self, path: Path, header: UploadHeader) -> AbstractContextManager[Footage]:
        """See :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
        if header.suffix == TAR_SUFFIX:
            return open_still_tar(path, header.title, self._limits)
        return open_video(path, header.title, self._limits, self._threads)

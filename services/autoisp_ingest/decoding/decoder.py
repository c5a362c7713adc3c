"""The one entry to decoding: what kind of source it is, and which limits hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import av.logging

from autoisp_ingest.decoding.archive import FrameArchive, open_archive
from autoisp_ingest.decoding.raw_burst import open_raw_archive, open_raw_file
from autoisp_ingest.decoding.raw_dump import open_raw_dump
from autoisp_ingest.decoding.still_tar import open_still_archive
from autoisp_ingest.decoding.video import open_video
from autoisp_ingest.domain import Footage, FootageLimits, UploadHeader
from autoisp_ingest.domain.media import CAMERA_RAW_SUFFIXES, DUMP_SUFFIX, SIDECAR, TAR_SUFFIX

# The codecs' own chatter has no request to belong to; what matters of it comes back as an exception.
av.logging.set_level(av.logging.PANIC)


class MediaDecoder:
    """Decodes videos and pictures with FFmpeg's libraries through PyAV, camera raw with LibRaw.

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
            return _open_tar(path, header.title, self._limits)
        if header.suffix in CAMERA_RAW_SUFFIXES:
            return open_raw_file(path, header.title, header.suffix, self._limits)
        return open_video(path, header.title, self._limits, self._threads)


@contextmanager
def _open_tar(path: Path, title: str, limits: FootageLimits) -> Iterator[Footage]:
    with open_archive(path, title, limits.max_frames + 1) as archive, _open(archive, limits) as footage:
        yield footage


def _open(archive: FrameArchive, limits: FootageLimits) -> AbstractContextManager[Footage]:
    """What is in a tar is told by the names in it."""
    if archive.has(SIDECAR):
        return open_raw_dump(archive, limits)
    if archive.suffixes & (CAMERA_RAW_SUFFIXES | {DUMP_SUFFIX}):
        return open_raw_archive(archive, limits)
    return open_still_archive(archive, limits)

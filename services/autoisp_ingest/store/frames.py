"""Clips' frames in the artifact store."""

from __future__ import annotations

from autoisp_core.frames import FrameFormat
from autoisp_core.sensor import SensorProfile
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames, ClipWriter, gathered_bytes


class ZarrFrameStore:
    """See :class:`autoisp_ingest.usecases.FrameStore`; the layout is in ``autoisp_runtime.clip_frames``."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def writer(self, uri: str, frame_format: FrameFormat, sensor: SensorProfile | None) -> ClipWriter:
        """See :meth:`autoisp_ingest.usecases.FrameStore.writer`."""
        return ClipWriter(self._store, uri, frame_format, sensor)

    def gathered_bytes(self, frame_format: FrameFormat) -> int:
        """See :meth:`autoisp_ingest.usecases.FrameStore.gathered_bytes`."""
        return gathered_bytes(frame_format)

    def open(self, uri: str) -> ClipFrames:
        """See :meth:`autoisp_ingest.usecases.FrameStore.open`."""
        return ClipFrames.open(self._store, uri)

    def delete(self, uri: str) -> None:
        """See :meth:`autoisp_ingest.usecases.FrameStore.delete`."""
        self._store.delete_prefix(uri)

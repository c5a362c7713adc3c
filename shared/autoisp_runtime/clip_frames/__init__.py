"""Clips in the artifact store: written as the source's decoder gave them, converted when they are read."""

from autoisp_runtime.clip_frames.reader import ClipFrames
from autoisp_runtime.clip_frames.writer import ClipWriter, gathered_bytes

__all__ = ["ClipFrames", "ClipWriter", "gathered_bytes"]

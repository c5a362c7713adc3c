"""The ways in, wired: they differ in where the bytes come from and end in the same place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from autoisp_ingest.config import IngestConfig
from autoisp_ingest.decoding import MediaDecoder
from autoisp_ingest.importing import AllowedSources, ImportRoots
from autoisp_ingest.usecases import (
    DecodeClip,
    FrameStore,
    ImportClip,
    IngestFrames,
    IngestStore,
    NewClips,
    Spool,
    Uploads,
)


@dataclass(frozen=True)
class WaysIn:
    """How footage becomes clips."""

    uploads: Uploads
    import_clip: ImportClip
    ingest_frames: IngestFrames


def ways_in(
    config: IngestConfig, store: IngestStore, frames: FrameStore, spool: Spool, new_clips: NewClips
) -> WaysIn:
    """Wire them.

    Raises:
        InvalidArgumentError: an import root is no place to import from.
    """
    decoder = MediaDecoder(config.limits, config.decode_threads)
    decoding = ThreadPoolExecutor(config.decode_jobs, thread_name_prefix="decode")
    decode = DecodeClip(decoder, frames, new_clips, decoding)
    sources = AllowedSources(ImportRoots.parse(config.import_roots))
    # Of its own: a camera can't wait until a long video is decoded.
    live = ThreadPoolExecutor(config.live_streams, thread_name_prefix="live")
    return WaysIn(
        Uploads(store, spool, new_clips, decode),
        ImportClip(sources, spool, new_clips, decode),
        IngestFrames(frames, new_clips, live, config.live_limits),
    )

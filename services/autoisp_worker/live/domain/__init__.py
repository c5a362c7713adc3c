"""What a live stream is and what it answers; no pixels are computed here."""

from autoisp_worker.live.domain.answers import FrameAnswer, Summary, Tally
from autoisp_worker.live.domain.assembly import FrameAssembly
from autoisp_worker.live.domain.frames import FramePart, LiveFrame, Metadata, Values
from autoisp_worker.live.domain.header import LiveSubject, StreamHeader, noise_of
from autoisp_worker.live.domain.limits import MAX_PART_BYTES, StreamLimits

__all__ = [
    "MAX_PART_BYTES",
    "FrameAnswer",
    "FrameAssembly",
    "FramePart",
    "LiveFrame",
    "LiveSubject",
    "Metadata",
    "StreamHeader",
    "StreamLimits",
    "Summary",
    "Tally",
    "Values",
    "noise_of",
]

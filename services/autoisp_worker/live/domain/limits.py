"""How much a live stream may take."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_runtime.pace import Pace

MAX_PART_BYTES = 1 << 20
"""Longest part of a frame; gRPC's own limit of 4 MiB a message stays as it is."""


@dataclass(frozen=True)
class StreamLimits:
    """What one server bears.

    Args:
        streams: at the same time.
        side: pixels, either side of a frame.
        window_frames: frames of one stream that are not answered, at most.
        window_bytes: of these frames; there is always room for one.
        pace: of a sender, while it is its turn. Its window is also how long an answer may stay unread.
    """

    streams: int
    side: int
    window_frames: int
    window_bytes: int
    pace: Pace

    def window(self, frame_bytes: int) -> int:
        """How many frames of this size may be unanswered."""
        return max(1, min(self.window_frames, self.window_bytes // frame_bytes))

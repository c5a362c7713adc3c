"""What fits into the messages that results travel in: one on the bus for each clip, one of gRPC for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoisp_core.errors import InvalidArgumentError

MAX_CLIP_BYTES = 880_000
"""Of 900,000 that the bus takes."""
MAX_EVALUATION_BYTES = 3_800_000
"""Of 4 MiB that gRPC takes."""

_FRAME = 28  # a FrameResult
_VALUE = 4  # a metric's
_CLIP = 1_500
_SUBJECT = 800  # cost, latency, devices
_PICTURE = 190
_WORST_FRAMES = 3  # that a worker keeps of each subject, with a crop of the truth and of every subject
_ESTIMATE = 70
_IMPROVEMENT = 115  # with its clip's name


@dataclass(frozen=True)
class Size:
    """How much an evaluation asks for."""

    frame_counts: Sequence[int]
    subjects: int
    metrics: int

    def fits(self, frames_per_clip: int) -> bool:
        """Whether the results of the evaluation, and of each of its clips, fit; 0 means all frames."""
        counts = [min(count, frames_per_clip or count) for count in self.frame_counts]
        frame = self.subjects * (_FRAME + _VALUE * self.metrics)
        clip = self._clip_bytes
        whole = sum(counts) * frame + len(counts) * clip
        return whole <= MAX_EVALUATION_BYTES and max(counts, default=0) * frame + clip <= MAX_CLIP_BYTES

    def largest_frames(self) -> int:
        """The most frames per clip that fit; 0 if not even one does."""
        low, high = 0, MAX_CLIP_BYTES
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.fits(middle) else (low, middle - 1)
        return low

    def require(self, frames_per_clip: int) -> None:
        """Refuse what would not fit.

        Raises:
            InvalidArgumentError: naming ``frames_per_clip`` with the largest number that fits, or
                ``subjects`` if none does.
        """
        if self.fits(frames_per_clip):
            return
        asked = f"{self.subjects} subjects by {self.metrics} metrics on"
        largest = self.largest_frames()
        if not largest:
            raise InvalidArgumentError(
                "evaluation.subjects",
                f"{asked} {len(self.frame_counts)} clips give more results than one message holds; judge "
                "fewer subjects at a time, by fewer metrics, or make a smaller dataset",
                reason="TOO_MANY_RESULTS",
            )
        raise InvalidArgumentError(
            "evaluation.frames_per_clip",
            f"{asked} that many frames of {len(self.frame_counts)} clips give more results than one message "
            f"holds; use frames_per_clip of {largest} or less",
            reason="TOO_MANY_FRAMES",
        )

    @property
    def _clip_bytes(self) -> int:
        worst = _WORST_FRAMES * _PICTURE * (self.subjects + 2)
        each = _SUBJECT + _PICTURE + worst + self.metrics * (_ESTIMATE + _IMPROVEMENT)
        return _CLIP + self.subjects * each

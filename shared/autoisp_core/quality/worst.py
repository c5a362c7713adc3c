"""The worst frames of an evaluation, kept as they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality.metric import Metric

Payload = TypeVar("Payload")

STRETCH = 10
"""Frames of a clip that count as one place: neighbours show the same."""


@dataclass(frozen=True, slots=True)
class WorstFrame(Generic[Payload]):
    """One of them.

    Attributes:
        clip, index: which frame.
        value: of the metric.
        payload: whatever was offered with it, such as a crop.
    """

    clip: str
    index: int
    value: float
    payload: Payload


class WorstFrames(Generic[Payload]):
    """The worst frame of each stretch of a clip, and of these the worst.

    Holds at most `count` payloads. Which frames stay doesn't depend on the order in which they come, so
    workers may keep their own and offer them to one another.

    Args:
        metric: by which.
        count: how many to keep.
        stretch: frames of a clip of which at most one is kept: [0, stretch), [stretch, 2 stretch), …

    Raises:
        InvalidArgumentError: fields `worst_frames` or `stretch`, if below 1.
    """

    def __init__(self, metric: Metric, count: int, stretch: int = STRETCH) -> None:
        for field, number in (("worst_frames", count), ("stretch", stretch)):
            if number < 1:
                raise InvalidArgumentError(field, f"must be 1 or more, is {number}")
        self._metric, self._count, self._stretch = metric, count, stretch
        self._kept: dict[tuple[str, int], WorstFrame[Payload]] = {}

    def wants(self, clip: str, index: int, value: float) -> bool:
        """Whether this frame would be kept; ask first where its payload takes time to make."""
        place = (clip, index // self._stretch)
        if (rival := self._kept.get(place)) is None and len(self._kept) == self._count:
            rival = self._least()
        return rival is None or self._rank(value, clip, index) < self._rank(
            rival.value, rival.clip, rival.index
        )

    def offer(self, clip: str, index: int, value: float, payload: Payload) -> bool:
        """Keeps the frame if it is among the worst so far, and drops the one that it replaces."""
        if not self.wants(clip, index, value):
            return False
        place = (clip, index // self._stretch)
        if place not in self._kept and len(self._kept) == self._count:
            least = self._least()
            del self._kept[least.clip, least.index // self._stretch]
        self._kept[place] = WorstFrame(clip, index, value, payload)
        return True

    def frames(self) -> list[WorstFrame[Payload]]:
        """The worst first."""
        return sorted(self._kept.values(), key=self._order)

    def _least(self) -> WorstFrame[Payload]:
        return max(self._kept.values(), key=self._order)

    def _order(self, frame: WorstFrame[Payload]) -> tuple[float, str, int]:
        return self._rank(frame.value, frame.clip, frame.index)

    def _rank(self, value: float, clip: str, index: int) -> tuple[float, str, int]:
        return (-self._metric.badness(value), clip, index)

"""What a stream answers, and what it says of itself at its end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEP = math.log(1.01)
"""Of the bins in which latencies are counted, so that any number of frames takes no more memory."""


@dataclass(frozen=True)
class FrameAnswer:
    """What became of a frame.

    Args:
        index: from 0.
        metrics: by name; those that the frame can't have are left out.
        picture: (H, W, 3) RGB of 8 bits, if it is wanted.
        develop_seconds: that the subject took.
        complete_at: of the frame's last byte, on the monotonic clock.
    """

    index: int
    metrics: Mapping[str, float]
    picture: NDArray[np.uint8] | None
    develop_seconds: float
    complete_at: float


@dataclass(frozen=True)
class Summary:
    """A whole stream.

    Args:
        frames: how many.
        metrics: means over the frames that have them.
        p50, p95, p99: of the latency, seconds; 0 without frames.
    """

    frames: int
    metrics: dict[str, float]
    p50: float
    p95: float
    p99: float


class Tally:
    """Gathers the summary while frames are answered; takes no more memory as they go on."""

    def __init__(self) -> None:
        self._frames = 0
        self._sums: dict[str, tuple[float, int]] = {}
        self._bins: Counter[int] = Counter()

    def add(self, metrics: Mapping[str, float], latency_seconds: float) -> None:
        """The next frame was answered."""
        self._frames += 1
        self._bins[round(math.log(max(latency_seconds, 1e-9)) / _STEP)] += 1
        for name, value in metrics.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1

    def summary(self, late: Mapping[str, float]) -> Summary:
        """Of all frames so far; ``late`` are means that only the end brought."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        return Summary(self._frames, {**means, **late}, *(self._percentile(p) for p in (50, 95, 99)))

    def _percentile(self, percent: int) -> float:
        """The least latency that so many percent don't exceed, to half a percent."""
        reached = 0
        for number in sorted(self._bins):
            reached += self._bins[number]
            if reached * 100 >= percent * self._frames:
                return math.exp(number * _STEP)
        return 0.0

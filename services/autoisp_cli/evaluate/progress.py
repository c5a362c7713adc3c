"""How far an evaluation is, from the updates that come of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean

from autoisp.evaluation.v1 import evaluation_pb2

from autoisp_cli.report.evaluation.judged import clip_title, series

_ENDS = frozenset(
    {
        evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
        evaluation_pb2.EVALUATION_STATE_FAILED,
        evaluation_pb2.EVALUATION_STATE_CANCELLED,
    }
)


@dataclass
class ClipProgress:
    """One clip.

    Attributes:
        psnr: by subject, by frame; NaN where a frame has none.
    """

    title: str
    state: evaluation_pb2.EvaluationState.ValueType = evaluation_pb2.EVALUATION_STATE_RUNNING
    failure: str = ""
    wanted: int = 0
    done: int = 0
    psnr: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether it is judged, or won't be."""
        return self.state in _ENDS

    @property
    def fraction(self) -> float:
        """How far it is, from 0 to 1."""
        return 1.0 if self.ended else min(1.0, self.done / self.wanted) if self.wanted else 0.0

    @property
    def frames(self) -> int:
        """Results so far: frames, over all subjects."""
        return max(self.done, sum(map(len, self.psnr.values())))

    def mean(self, label: str) -> float:
        """The subject's PSNR over the frames so far; NaN before there is any."""
        return _mean(self.psnr.get(label, {}).values())


class EvaluationProgress:
    """Takes updates, whole ones and those with news alone; the same may come twice.

    Args:
        clock: seconds.
    """

    def __init__(
        self, evaluation: evaluation_pb2.Evaluation, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = evaluation.name
        self.labels = [subject.label for subject in evaluation.subjects]
        self.clips: dict[str, ClipProgress] = {}
        self._clock = clock
        self.apply(evaluation)
        self._start, self._before, self._frames_before = clock(), self.fraction, self.frames

    def apply(self, update: evaluation_pb2.Evaluation) -> list[ClipProgress]:
        """Takes an update in; returns the clips that have ended with it."""
        return [clip for result in update.clips if (clip := self._take(result)) is not None]

    def _take(self, result: evaluation_pb2.ClipResult) -> ClipProgress | None:
        clip = self.clips.setdefault(result.clip, ClipProgress(clip_title(result)))
        clip.title = result.display_name or clip.title
        before = clip.ended
        if result.state:
            clip.state = result.state
        clip.failure = result.failure.message or result.failure.reason
        clip.wanted = max(clip.wanted, result.frames_wanted)
        clip.done = max(clip.done, result.frames_done)
        for subject in result.subjects:
            values = dict(series(subject, "psnr"))
            for frame in subject.frames:
                if frame.frame not in values and frame.HasField("quality"):
                    values[frame.frame] = frame.quality.psnr_db
            clip.psnr.setdefault(subject.label, {}).update(values)
        return clip if clip.ended and not before else None

    @property
    def fraction(self) -> float:
        """How far it is, from 0 to 1; each clip counts alike."""
        return fmean([clip.fraction for clip in self.clips.values()] or [0.0])

    @property
    def frames(self) -> int:
        """Results so far: frames, over all subjects."""
        return sum(clip.frames for clip in self.clips.values())

    @property
    def ended(self) -> int:
        """Clips that are judged, or won't be."""
        return sum(clip.ended for clip in self.clips.values())

    @property
    def frames_per_second(self) -> float:
        """Since we watch."""
        seconds = self._clock() - self._start
        return (self.frames - self._frames_before) / seconds if seconds > 0 else 0.0

    def seconds_left(self) -> float | None:
        """At the pace since we watch; None before there is any."""
        gained = self.fraction - self._before
        if gained <= 0:
            return None
        return (1 - self.fraction) * (self._clock() - self._start) / gained

    def psnr(self) -> Iterator[tuple[str, float]]:
        """Each subject's PSNR so far, as totals have it: the mean over clips of their means."""
        for label in self.labels:
            mean = _mean(clip.mean(label) for clip in self.clips.values())
            if math.isfinite(mean):
                yield label, mean


def _mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else math.nan

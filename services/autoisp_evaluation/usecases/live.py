"""What has come of clips that are still being judged, as far as this process has heard.

Nothing here is needed: a clip's result holds all of it again. So it is kept in memory, and only as much as
somebody may still ask for: frames while they are watched, and how many there are of the clips that were
heard of last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from autoisp_evaluation.domain import (
    QUALITY_OF,
    ClipResult,
    Cost,
    Evaluation,
    FrameResult,
    MetricResult,
    State,
    SubjectResult,
)
from autoisp_evaluation.usecases.changes import Changes

_MAX_TALLIES = 10_000
_MAX_FRAMES = 30_000
"""Of one clip, over all subjects: more than any message holds."""

Key = tuple[str, int]


@dataclass(frozen=True)
class FramesJudged:
    """News of a clip: frames of each subject with their values, and how many there are by now."""

    evaluation: str
    clip: str
    subjects: tuple[SubjectResult, ...]
    frames_done: int
    frames_wanted: int


@dataclass
class _Log:
    """A clip's frames in the order in which they came, each once."""

    keys: list[Key] = field(default_factory=list)
    frames: dict[Key, tuple[FrameResult, dict[str, float]]] = field(default_factory=dict)
    closed: bool = False

    def add(self, subjects: Sequence[SubjectResult]) -> None:
        for subject in subjects:
            for index, frame in enumerate(subject.frames):
                key = (subject.label, frame.frame)
                if self.closed or key in self.frames or len(self.keys) >= _MAX_FRAMES:
                    continue  # a worker that took over begins anew
                values = {m.metric: m.values[index] for m in subject.metrics if index < len(m.values)}
                self.keys.append(key)
                self.frames[key] = (frame, values)

    def close(self) -> None:
        """The clip's result is there: what was seen is still asked for, but no frames any more."""
        self.closed = True
        self.frames.clear()


class Follower:
    """What one watcher has seen of an evaluation."""

    def __init__(self, logs: dict[str, _Log]) -> None:
        self._logs = logs
        self._seen: dict[str, int] = {}
        self._told: set[str] = set()

    def snapshot(self, evaluation: Evaluation) -> Evaluation:
        """The whole evaluation, with what is known of its running clips; all of it counts as seen."""
        clips = []
        for clip in evaluation.clips:
            news = self._news(evaluation, clip)
            whole = clip.state is not State.RUNNING
            clips.append(clip if whole or news is None else news)
        return replace(evaluation, clips=tuple(clips))

    def news(self, evaluation: Evaluation) -> Evaluation | None:
        """The evaluation with what has come since; None if nothing has."""
        clips = tuple(news for clip in evaluation.clips if (news := self._news(evaluation, clip)) is not None)
        return replace(evaluation, clips=clips) if clips else None

    def _news(self, evaluation: Evaluation, clip: ClipResult) -> ClipResult | None:
        if clip.clip in self._told:
            return None
        log = self._logs.setdefault(clip.clip, _Log())
        seen = self._seen.get(clip.clip, 0)
        if clip.state is not State.RUNNING:
            self._told.add(clip.clip)
            log.close()
            return _without(clip, set(log.keys[:seen]))
        fresh = log.keys[seen:]
        # A closed log has a result that this watcher has not read yet, and no frames any more.
        if not fresh or log.closed:
            return None
        self._seen[clip.clip] = len(log.keys)
        return replace(clip, subjects=_results(evaluation, log, fresh))


class LiveFrames:
    """Keeps the news, and hands them to followers."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._tallies: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._logs: dict[str, tuple[int, dict[str, _Log]]] = {}

    def tell(self, news: FramesJudged) -> None:
        """Take in news."""
        place = (news.evaluation, news.clip)
        self._tallies[place] = max(self._tallies.get(place, 0), news.frames_done)
        self._tallies.move_to_end(place)
        if len(self._tallies) > _MAX_TALLIES:
            self._tallies.popitem(last=False)
        if news.evaluation in self._logs:
            _, logs = self._logs[news.evaluation]
            # Only clips that a follower has asked for: anybody may name others.
            if news.clip in logs:
                logs[news.clip].add(news.subjects)
                self._changes.announce(frames_of(news.evaluation))

    def counted(self, evaluation: Evaluation) -> Evaluation:
        """The evaluation, with the number of frames so far in its running clips."""
        if evaluation.state.terminal:
            return evaluation
        clips = tuple(
            replace(
                clip, frames_done=min(self._tallies.get((evaluation.name, clip.clip), 0), clip.frames_wanted)
            )
            if clip.state is State.RUNNING
            else clip
            for clip in evaluation.clips
        )
        return replace(evaluation, clips=clips)

    @contextmanager
    def follow(self, name: str) -> Iterator[Follower]:
        """Keep the frames of an evaluation while the block lasts."""
        count, logs = self._logs.get(name, (0, {}))
        self._logs[name] = (count + 1, logs)
        try:
            yield Follower(logs)
        finally:
            count, logs = self._logs[name]
            if count > 1:
                self._logs[name] = (count - 1, logs)
            else:
                del self._logs[name]


def frames_of(name: str) -> str:
    """What :class:`Changes` calls the frames of an evaluation."""
    return f"{name}#frames"


def _results(evaluation: Evaluation, log: _Log, keys: Sequence[Key]) -> tuple[SubjectResult, ...]:
    """Frames as results of their subjects; their quality is the mean of these frames."""
    results = []
    for subject in evaluation.subjects:
        found = [log.frames[key] for key in keys if key[0] == subject.label]
        if not found:
            continue
        frames = tuple(frame for frame, _ in found)
        metrics = tuple(
            MetricResult(metric, values=tuple(_value(frame, values, metric) for frame, values in found))
            for metric in evaluation.measured
        )
        partial = SubjectResult(subject.label, frames[0].quality, Cost(), frames, metrics)
        results.append(replace(partial, quality=partial.mean))
    return tuple(results)


def _value(frame: FrameResult, values: dict[str, float], metric: str) -> float:
    if metric in QUALITY_OF:
        return float(getattr(frame.quality, QUALITY_OF[metric]))
    return values.get(metric, float("nan"))


def _without(clip: ClipResult, seen: set[Key]) -> ClipResult:
    """The result without frames that were seen."""
    if not seen:
        return clip
    subjects = []
    for subject in clip.subjects:
        kept = [i for i, frame in enumerate(subject.frames) if (subject.label, frame.frame) not in seen]
        metrics = tuple(
            replace(metric, values=tuple(metric.values[i] for i in kept) if metric.values else ())
            for metric in subject.metrics
        )
        subjects.append(replace(subject, frames=tuple(subject.frames[i] for i in kept), metrics=metrics))
    return replace(clip, subjects=tuple(subjects))

"""The evaluation itself: how clips add up, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from statistics import median

from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import Gate, GateCheck, GateReport
from autoisp_core.quality.results import (
    QUALITY_OF,
    ClipResult,
    Failure,
    Latency,
    MetricResult,
    State,
    SubjectResult,
    as_sent,
    mean_quality,
    values_by_clip,
)

from autoisp_evaluation.domain.comparing import Comparison, comparisons, gate_report
from autoisp_evaluation.domain.statistics import estimates
from autoisp_evaluation.domain.subjects import Sensor, Split, Subject

DEFAULT_METRICS = tuple(QUALITY_OF)


@dataclass(frozen=True)
class Entry:
    """A clip of the split; ``manifest_entry`` is what ingest wrote of it, passed on to workers unread."""

    clip: str
    display_name: str
    frame_count: int
    manifest_entry: bytes


@dataclass(frozen=True)
class Registration:
    """Where the subject ``model`` is to be registered once judged, and the budget its gate checks."""

    model: str
    spec: str = ""
    macs_per_pixel_limit: float | None = None
    latency_ratio_goal: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """One evaluation with everything that is known of it.

    Attributes:
        name: ``evaluations/{e}``.
        frames_per_clip: evenly spread; 0 means all.
        search, trial: who asked for it; empty if a person did.
        metrics: names; empty means psnr and ssim.
        gate: TOML; empty for none.
        registration: None if nothing is to be registered.
        manifest: of the dataset as it is judged; None where an earlier release did not keep it.
        clips: one result per clip of the split, RUNNING until judged.
        totals: mean over the judged clips of each clip's mean over frames; empty until the end.
        comparisons: of every other subject with the baseline; empty until the end.
        gate_report: None without a gate, and until the end.
        revision: grows with every change.
    """

    name: str
    dataset: str
    split: Split
    subjects: tuple[Subject, ...]
    sensor: Sensor
    seed: int
    frames_per_clip: int
    create_time: datetime
    search: str = ""
    trial: str = ""
    metrics: tuple[str, ...] = ()
    gate: str = ""
    registration: Registration | None = None
    manifest: Artifact | None = None
    state: State = State.RUNNING
    failure: Failure | None = None
    clips: tuple[ClipResult, ...] = ()
    totals: tuple[SubjectResult, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    gate_report: GateReport | None = None
    end_time: datetime | None = None
    revision: int = 1

    @property
    def measured(self) -> tuple[str, ...]:
        """The metrics' names; there are always some."""
        return self.metrics or DEFAULT_METRICS

    def judged(self, result: ClipResult, now: datetime) -> Evaluation | None:
        """The evaluation after a clip was judged; ended, with totals, if it was the last one.

        Intervals and comparisons take seconds where there are many frames.

        Returns:
            None if this changes nothing: the clip is judged already, or is none of this evaluation's.
        """
        open_clips = [clip.clip for clip in self.clips if not clip.state.terminal]
        if self.state.terminal or result.clip not in open_clips or not result.state.terminal:
            return None
        accepted = self._accepted(result)
        clips = tuple(_in_place(clip, accepted) if clip.clip == result.clip else clip for clip in self.clips)
        after = replace(self, clips=clips, revision=self.revision + 1)
        return after._ended(now) if open_clips == [result.clip] else after

    def failed(self, failure: Failure, now: datetime) -> Evaluation:
        """The evaluation, given up as a whole."""
        clips = tuple(
            clip if clip.state.terminal else replace(clip, state=State.FAILED, failure=failure)
            for clip in self.clips
        )
        return replace(
            self,
            state=State.FAILED,
            failure=failure,
            clips=clips,
            end_time=now,
            revision=self.revision + 1,
        )

    def cancelled(self, now: datetime) -> Evaluation | None:
        """The evaluation, which nobody wants any more; None if it has ended already."""
        if self.state.terminal:
            return None
        clips = tuple(
            clip if clip.state.terminal else replace(clip, state=State.CANCELLED) for clip in self.clips
        )
        return replace(self, state=State.CANCELLED, clips=clips, end_time=now, revision=self.revision + 1)

    def without_frames(self) -> Evaluation:
        """The same without what grows with frames and clips: small enough for lists and messages."""
        clips = (
            replace(
                clip,
                pictures=(),
                worst=(),
                subjects=tuple(replace(s, frames=(), metrics=(), devices=()) for s in clip.subjects),
            )
            for clip in self.clips
        )
        compared = (replace(comparison, clips={}) for comparison in self.comparisons)
        return replace(self, clips=tuple(clips), comparisons=tuple(compared))

    def _ended(self, now: datetime) -> Evaluation:
        good = [clip for clip in self.clips if clip.state is State.SUCCEEDED]
        if not good:
            return self.failed(_causes(self.clips), now)
        totals = tuple(
            replace(
                total(subject.label, [s for clip in good for s in clip.subjects if s.label == subject.label]),
                metrics=self._metrics(good, subject.label),
            )
            for subject in self.subjects
        )
        ended = replace(self, state=State.SUCCEEDED, totals=totals, end_time=now)
        return replace(ended, comparisons=comparisons(ended), gate_report=_gate_report(ended))

    def _metrics(self, clips: Sequence[ClipResult], label: str) -> tuple[MetricResult, ...]:
        return tuple(
            MetricResult(metric, *estimates(values_by_clip(clips, label, metric), self.seed))
            for metric in self.measured
        )

    def _accepted(self, result: ClipResult) -> ClipResult:
        """The result, complete and in order, or as failed if it does not judge every subject."""
        if result.state is not State.SUCCEEDED:
            return result
        labels = [subject.label for subject in self.subjects]
        missing = [label for label in labels if result.subject(label) is None]
        if missing:
            return _refused(result, "SUBJECT_NOT_JUDGED", f"not judged: {', '.join(missing)}")
        subjects = [subject for label in labels if (subject := result.subject(label)) is not None]
        if empty := [subject.label for subject in subjects if not subject.frames]:
            return _refused(result, "NO_FRAMES", f"no frame was judged: {', '.join(empty)}")
        undefined = [subject.label for subject in subjects if not subject.mean.defined]
        if undefined:
            return _refused(result, "QUALITY_NOT_A_NUMBER", f"the output holds NaN: {', '.join(undefined)}")
        if len({frozenset(frame.frame for frame in subject.frames) for subject in subjects}) > 1:
            return _refused(result, "FRAMES_MISMATCH", "its subjects were judged on different frames")
        for subject in subjects:
            for metric in subject.metrics:
                if metric.values and len(metric.values) != len(subject.frames):
                    counts = (
                        f"{len(metric.values)} values of {metric.metric} for {len(subject.frames)} frames"
                    )
                    return _refused(result, "VALUES_MISMATCH", f"{subject.label} has {counts}")
        done = sum(len(subject.frames) for subject in subjects)
        return replace(
            result,
            subjects=tuple(self._completed(result, subject) for subject in subjects),
            frames_done=done,
            frames_wanted=done,
        )

    def _completed(self, clip: ClipResult, subject: SubjectResult) -> SubjectResult:
        """With its mean, and with each metric's values and estimate."""
        metrics = []
        for name in self.measured:
            values = subject.values(name)
            within, _ = estimates({clip.clip: values} if values else {}, self.seed)
            order = (values.get(frame.frame, float("nan")) for frame in subject.frames)
            metrics.append(MetricResult(name, within, values=as_sent(order) if values else ()))
        return replace(subject, quality=subject.mean, metrics=tuple(metrics))


def total(label: str, results: Iterable[SubjectResult]) -> SubjectResult:
    """One subject over several clips: mean quality (every clip counts the same), one cost.

    What can be counted is equal on every clip; times are measured, so their medians are taken. A clip that
    was not timed (0) says nothing of time.
    """
    clips = list(results)
    times = [seconds for result in clips if (seconds := result.cost.seconds_per_megapixel) > 0.0]
    seconds = median(times) if times else 0.0
    return SubjectResult(
        label,
        mean_quality([result.mean for result in clips]),
        replace(clips[0].cost, seconds_per_megapixel=seconds),
        latency=_total_latency([result.latency for result in clips if result.latency is not None]),
        devices=clips[0].devices,
    )


def _gate_report(ended: Evaluation) -> GateReport | None:
    if not ended.gate:
        return None
    try:
        return gate_report(ended, Gate.parse(ended.gate))
    except InvalidArgumentError as error:
        # It could be read when the evaluation was made; an older release read it otherwise.
        return GateReport.of([GateCheck(False, f"gate: failed, it can't be read: {error.message}")])


def _total_latency(clips: Sequence[Latency]) -> Latency | None:
    if not clips:
        return None
    return replace(
        clips[0],
        p50=median(clip.p50 for clip in clips),
        p95=median(clip.p95 for clip in clips),
        p99=median(clip.p99 for clip in clips),
        frames=sum(clip.frames for clip in clips),
        peak_memory_bytes=max(clip.peak_memory_bytes for clip in clips),
    )


def _in_place(clip: ClipResult, result: ClipResult) -> ClipResult:
    """The result under the name that the clip had, wanting what it wanted."""
    wanted = result.frames_wanted or clip.frames_wanted
    return replace(result, display_name=result.display_name or clip.display_name, frames_wanted=wanted)


def _refused(result: ClipResult, reason: str, message: str) -> ClipResult:
    return replace(result, state=State.FAILED, failure=Failure(reason, message))


def _causes(clips: Iterable[ClipResult]) -> Failure:
    failures = [(clip, clip.failure or Failure("UNKNOWN", "no cause was given")) for clip in clips]
    reasons = {failure.reason for _, failure in failures}
    return Failure(
        reasons.pop() if len(reasons) == 1 else "NO_CLIP_JUDGED",
        "no clip could be judged by every subject: "
        + "; ".join(
            f"{clip.clip} ({clip.display_name}): {failure.message}" for clip, failure in failures[:10]
        ),
    )

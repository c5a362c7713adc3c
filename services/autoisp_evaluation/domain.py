"""What an evaluation is: subjects judged on the clips of one dataset split, clip by clip.

Nothing here knows of wires, tables or brokers. All objects are immutable; a change makes a new one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from statistics import fmean, median

from autoisp_core.artifact import Artifact
from autoisp_core.noise import Noise

MODEL_LABEL = "model"
PROTOTYPE_LABEL = "prototype"


class State(StrEnum):
    """Where an evaluation, or the judging of one of its clips, is."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def terminal(self) -> bool:
        """Whether nothing can follow."""
        return self is not State.RUNNING


class Split(StrEnum):
    """A clip's part in its dataset."""

    TRAIN = "TRAIN"
    VALIDATION = "VALIDATION"
    TEST = "TEST"


@dataclass(frozen=True)
class Failure:
    """Why something failed: ``reason`` (UPPER_SNAKE) for programs, ``message`` for people."""

    reason: str
    message: str


@dataclass(frozen=True)
class Sensor:
    """The sensor that raw is synthesised for: a profile that ships (``builtin``) or one as TOML text."""

    builtin: str = ""
    toml: str = ""
    test_noise: Noise | None = None
    identity_ccm: bool = False


@dataclass(frozen=True)
class Prototype:
    """The slow reference: one that ships (``builtin``) or an ONNX graph."""

    builtin: str = ""
    onnx: Artifact | None = None


@dataclass(frozen=True)
class Subject:
    """What is judged: an exported network or a prototype, under a label that is unique in its evaluation."""

    label: str
    source: Artifact | Prototype

    @property
    def onnx(self) -> Artifact | None:
        """The file that has to be in the store for this to run; None for a built-in prototype."""
        return self.source if isinstance(self.source, Artifact) else self.source.onnx


@dataclass(frozen=True)
class Quality:
    """PSNR in dB and SSIM, averaged over frames; data range 1, no border cropped."""

    psnr_db: float
    ssim: float

    @property
    def defined(self) -> bool:
        """False when the pictures held NaN."""
        return not (math.isnan(self.psnr_db) or math.isnan(self.ssim))


@dataclass(frozen=True)
class Cost:
    """MAC per output pixel (None: can't be counted), parameters, bytes, 1-thread seconds per megapixel."""

    macs_per_pixel: float | None = None
    parameters: int = 0
    size_bytes: int = 0
    seconds_per_megapixel: float = 0.0


@dataclass(frozen=True)
class FrameResult:
    """Quality of one frame (0-based index in its clip)."""

    frame: int
    quality: Quality


@dataclass(frozen=True)
class SubjectResult:
    """How one subject did on one clip or, without frames, over all."""

    label: str
    quality: Quality
    cost: Cost
    frames: tuple[FrameResult, ...] = ()

    @property
    def mean(self) -> Quality:
        """Mean over the frames, recomputed where the frames are known."""
        return mean_quality([frame.quality for frame in self.frames] or [self.quality])


@dataclass(frozen=True)
class Picture:
    """A crop for people: ``kind`` is ``noisy``, ``truth`` or a subject's label."""

    kind: str
    frame: int
    png: Artifact


@dataclass(frozen=True)
class ClipResult:
    """How every subject did on one clip."""

    clip: str
    display_name: str
    state: State
    subjects: tuple[SubjectResult, ...] = ()
    pictures: tuple[Picture, ...] = ()
    failure: Failure | None = None


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
        registration: None if nothing is to be registered.
        clips: one result per clip of the split, RUNNING until judged.
        totals: mean over the judged clips of each clip's mean over frames; empty until the end.
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
    registration: Registration | None = None
    state: State = State.RUNNING
    failure: Failure | None = None
    clips: tuple[ClipResult, ...] = ()
    totals: tuple[SubjectResult, ...] = ()
    end_time: datetime | None = None
    revision: int = 1

    def judged(self, result: ClipResult, now: datetime) -> Evaluation | None:
        """The evaluation after a clip was judged; ended, with totals, if it was the last one.

        Returns:
            None if this changes nothing: the clip is judged already, or is none of this evaluation's.
        """
        open_clips = [clip.clip for clip in self.clips if not clip.state.terminal]
        if self.state.terminal or result.clip not in open_clips or not result.state.terminal:
            return None
        accepted = _checked(result, [subject.label for subject in self.subjects])
        clips = tuple(accepted if clip.clip == result.clip else clip for clip in self.clips)
        after = replace(self, clips=clips, revision=self.revision + 1)
        return after._ended(now) if open_clips == [result.clip] else after

    def failed(self, failure: Failure, now: datetime) -> Evaluation:
        """The evaluation, given up as a whole."""
        return replace(self, state=State.FAILED, failure=failure, end_time=now, revision=self.revision + 1)

    def without_frames(self) -> Evaluation:
        """The same without per-frame figures and pictures: small enough for lists and messages."""
        clips = (
            replace(clip, pictures=(), subjects=tuple(replace(s, frames=()) for s in clip.subjects))
            for clip in self.clips
        )
        return replace(self, clips=tuple(clips))

    def _ended(self, now: datetime) -> Evaluation:
        good = [clip for clip in self.clips if clip.state is State.SUCCEEDED]
        if not good:
            return self.failed(_causes(self.clips), now)
        totals = tuple(
            total(subject.label, [s for clip in good for s in clip.subjects if s.label == subject.label])
            for subject in self.subjects
        )
        return replace(self, state=State.SUCCEEDED, totals=totals, end_time=now)


def total(label: str, results: Iterable[SubjectResult]) -> SubjectResult:
    """One subject over several clips: mean quality (every clip counts the same), one cost.

    What can be counted is equal on every clip; the time is measured, so its median is taken.
    """
    clips = list(results)
    seconds = median(result.cost.seconds_per_megapixel for result in clips)
    return SubjectResult(
        label,
        mean_quality([result.mean for result in clips]),
        replace(clips[0].cost, seconds_per_megapixel=seconds),
    )


def mean_quality(qualities: list[Quality]) -> Quality:
    """The plain mean of both figures (PSNR is averaged in dB, as everywhere)."""
    return Quality(fmean(q.psnr_db for q in qualities), fmean(q.ssim for q in qualities))


def _checked(result: ClipResult, labels: list[str]) -> ClipResult:
    """The result with each subject's mean filled in, or as failed if it does not judge every subject."""
    if result.state is State.FAILED:
        return result
    by_label = {subject.label: subject for subject in result.subjects}
    missing = [label for label in labels if label not in by_label]
    undefined = [label for label in labels if label in by_label and not by_label[label].mean.defined]
    if missing:
        failure = Failure("SUBJECT_NOT_JUDGED", f"not judged: {', '.join(missing)}")
    elif undefined:
        failure = Failure("QUALITY_NOT_A_NUMBER", f"the output holds NaN: {', '.join(undefined)}")
    else:
        means = tuple(replace(by_label[label], quality=by_label[label].mean) for label in labels)
        return replace(result, subjects=means)
    return replace(result, state=State.FAILED, failure=failure)


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

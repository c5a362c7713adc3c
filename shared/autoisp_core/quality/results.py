"""What an evaluation measured: of frames, of clips, and of all."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from autoisp_core.artifact import Artifact


class State(StrEnum):
    """Where an evaluation, or the judging of one of its clips, is."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether nothing can follow."""
        return self is not State.RUNNING


@dataclass(frozen=True)
class Failure:
    """Why something failed: ``reason`` (UPPER_SNAKE) for programs, ``message`` for people."""

    reason: str
    message: str


@dataclass(frozen=True)
class Quality:
    """PSNR in dB and SSIM, averaged over frames; data range 1, no border cropped."""

    psnr_db: float
    ssim: float

    @property
    def defined(self) -> bool:
        """False when the pictures held NaN."""
        return not (math.isnan(self.psnr_db) or math.isnan(self.ssim))


QUALITY_OF = {"psnr": "psnr_db", "ssim": "ssim"}
"""The metrics that every frame has, by their fields of :class:`Quality`."""


@dataclass(frozen=True)
class Cost:
    """What running a subject costs; bytes and MAC per output pixel, None where they can't be counted."""

    macs_per_pixel: float | None = None
    parameters: int = 0
    size_bytes: int = 0
    seconds_per_megapixel: float = 0.0
    state_bytes_per_pixel: float = 0.0
    bytes_per_pixel: float = 0.0
    peak_activation_bytes_per_pixel: float = 0.0


@dataclass(frozen=True)
class Latency:
    """Seconds per output megapixel over frames, and by how many bytes the process grew."""

    p50: float
    p95: float
    p99: float
    frames: int
    threads: int
    provider: str = ""
    peak_memory_bytes: int = 0


@dataclass(frozen=True)
class DeviceEstimate:
    """The roofline of a network on a phone's accelerator."""

    device: str
    seconds_per_megapixel: float
    bound: str
    fits_4k30: bool
    frames_per_second_4k: float


@dataclass(frozen=True)
class Estimate:
    """A mean over frames with its interval of 95 %; infinite where too little was seen for one."""

    mean: float
    low: float
    high: float
    frames: int
    clips: int


@dataclass(frozen=True)
class MetricResult:
    """One metric of one subject.

    Attributes:
        metric: its name.
        within: for other frames of the same clips; None where no frame has a value.
        across: for other clips; of totals only.
        values: of the subject's frames in their order, NaN where one has none; rounded to 32 bits, as they
            travel. Empty in totals, and where the metric was not measured.
    """

    metric: str
    within: Estimate | None = None
    across: Estimate | None = None
    values: tuple[float, ...] = ()


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
    metrics: tuple[MetricResult, ...] = ()
    latency: Latency | None = None
    devices: tuple[DeviceEstimate, ...] = ()

    @property
    def mean(self) -> Quality:
        """Mean over the frames, recomputed where the frames are known."""
        return mean_quality([frame.quality for frame in self.frames] or [self.quality])

    def values(self, metric: str) -> dict[int, float]:
        """A metric's finite values by frame, in the frames' order."""
        if metric in QUALITY_OF:
            field = QUALITY_OF[metric]
            found: Iterable[tuple[int, float]] = ((f.frame, getattr(f.quality, field)) for f in self.frames)
        else:
            measured = next((result.values for result in self.metrics if result.metric == metric), ())
            found = zip((frame.frame for frame in self.frames), measured, strict=False)
        return {frame: value for frame, value in sorted(found) if math.isfinite(value)}


@dataclass(frozen=True)
class Picture:
    """A crop for people: ``kind`` is ``noisy``, ``truth`` or a subject's label."""

    kind: str
    frame: int
    png: Artifact


@dataclass(frozen=True)
class WorstFrame:
    """One of the worst frames of a clip: whose, by which metric, with crops of its worst place."""

    label: str
    metric: str
    frame: int
    value: float
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class ClipResult:
    """How every subject did on one clip.

    Attributes:
        frames_done, frames_wanted: over all subjects.
    """

    clip: str
    display_name: str
    state: State
    subjects: tuple[SubjectResult, ...] = ()
    pictures: tuple[Picture, ...] = ()
    failure: Failure | None = None
    worst: tuple[WorstFrame, ...] = ()
    frames_done: int = 0
    frames_wanted: int = 0

    def subject(self, label: str) -> SubjectResult | None:
        """The subject's result; None if there is none."""
        return next((result for result in self.subjects if result.label == label), None)


def mean_quality(qualities: list[Quality]) -> Quality:
    """The plain mean of both figures (PSNR is averaged in dB, as everywhere)."""
    return Quality(fmean(q.psnr_db for q in qualities), fmean(q.ssim for q in qualities))


def as_sent(values: Iterable[float]) -> tuple[float, ...]:
    """The values rounded to 32 bits, so that what is read back is what was written."""
    return tuple(array("f", values))


def values_by_clip(clips: Iterable[ClipResult], label: str, metric: str) -> dict[str, Mapping[int, float]]:
    """A subject's finite values of a metric on the clips that were judged; clips without any are left out."""
    return {
        clip.clip: values
        for clip in clips
        if clip.state is State.SUCCEEDED
        and (result := clip.subject(label)) is not None
        and (values := result.values(metric))
    }

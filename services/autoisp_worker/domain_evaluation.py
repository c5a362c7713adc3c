"""What a worker is asked to judge and what it answers; see :mod:`autoisp_worker.domain`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoisp_core.artifact import Artifact
from autoisp_core.quality.results import DeviceEstimate, Latency
from autoisp_core.sensor import SensorProfile

from autoisp_worker.domain import ClipRange, Cost, Failure, PrototypeSource, Quality


@dataclass(frozen=True)
class Subject:
    """What an evaluation judges: a network made here (``model``), or a prototype."""

    label: str
    model: Artifact | None = None
    prototype: PrototypeSource | None = None


@dataclass(frozen=True)
class EvaluationJob:
    """Judge all subjects on one clip; ``frames_per_clip`` 0: on every frame.

    ``metrics`` are names of ``autoisp_core.quality.METRICS``, psnr and ssim among them, in its order.
    """

    evaluation: str
    clip: ClipRange
    subjects: tuple[Subject, ...]
    sensor: SensorProfile
    seed: int
    frames_per_clip: int
    metrics: tuple[str, ...] = ("psnr", "ssim")


@dataclass(frozen=True)
class FrameValues:
    """One frame's values by metric; those that it can't have are missing. ``frame`` counts from the clip's
    start."""

    frame: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class FramesJudged:
    """What has come of a clip since the last time.

    Attributes:
        frames: by subject's label.
        done, wanted: frames so far and in all, over all subjects.
    """

    metrics: tuple[str, ...]
    frames: Mapping[str, Sequence[FrameValues]]
    done: int
    wanted: int


@dataclass(frozen=True)
class SubjectResult:
    """One subject's figures on a clip."""

    label: str
    quality: Quality
    cost: Cost
    frames: tuple[FrameValues, ...]
    metrics: tuple[str, ...]
    latency: Latency
    devices: tuple[DeviceEstimate, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A crop to look at; ``kind`` is ``noisy``, ``truth`` or a subject's label."""

    kind: str
    frame: int
    png: Artifact


@dataclass(frozen=True)
class WorstFrame:
    """One of the worst frames of a subject by a metric, with crops of its worst place."""

    label: str
    metric: str
    frame: int
    value: float
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class ClipResult:
    """An evaluation's result on one clip; with ``failure`` set the rest is empty."""

    clip: str
    display_name: str
    subjects: tuple[SubjectResult, ...] = ()
    pictures: tuple[Picture, ...] = ()
    failure: Failure | None = field(default=None)
    worst: tuple[WorstFrame, ...] = ()
    cancelled: bool = False

"""Measurements and outcomes that searches and trials hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoisp_core.artifact import Artifact

from autoisp_search.domain.states import TrialState


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a search or a trial failed: a stable UPPER_SNAKE reason, and what happened and what to do."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class MeasuredCost:
    """What running a network costs.

    Attributes:
        macs_per_pixel: multiply-accumulates per output pixel; None where they can't be counted.
        parameters: learned weights and biases.
        size_bytes: size of the ONNX file.
        seconds_per_megapixel: wall time per output megapixel at one thread.
        state_bytes_per_pixel: carried from frame to frame; 0 without recurrence.
    """

    macs_per_pixel: float | None = None
    parameters: int = 0
    size_bytes: int = 0
    seconds_per_megapixel: float = 0.0
    state_bytes_per_pixel: float = 0.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Picture quality, averaged over frames; PSNR in dB at data range 1."""

    psnr_db: float
    ssim: float


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the prototype made of patches of training raw.

    Attributes:
        file: the patches and the pictures.
        count: how many.
        real: how many of them are of real raw, which has no truth.
        seconds: that it took.
    """

    file: Artifact
    count: int
    real: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PrototypeProfile:
    """What was measured of the prototype, and what it teaches, if that was asked for.

    Attributes:
        cost, quality: the latter on the validation frames.
        frames, inputs: what it reads.
        lessons: for every trial of the search.
    """

    cost: MeasuredCost
    quality: Quality | None = None
    frames: int = 1
    inputs: tuple[str, ...] = ()
    lessons: Lessons | None = None


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """How many trials of a search are in which state, and how many its plan has in all."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    pruned: int = 0
    planned: int = 0

    @classmethod
    def of(
        cls, states: Mapping[TrialState, int], planned: int, first_planned: int, first: int
    ) -> TrialCounts:
        """The counts; ``first`` trials of the first rung were trained, maybe more than were planned."""
        return cls(
            queued=states.get(TrialState.QUEUED, 0),
            running=states.get(TrialState.RUNNING, 0),
            succeeded=states.get(TrialState.SUCCEEDED, 0),
            failed=states.get(TrialState.FAILED, 0),
            pruned=states.get(TrialState.PRUNED, 0),
            planned=planned + max(0, first - first_planned),
        )

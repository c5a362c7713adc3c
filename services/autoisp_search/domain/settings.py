"""What a user asks of a search, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass, field

from autoisp_core.artifact import Artifact
from autoisp_core.sensor import Noise
from autoisp_core.spec import SearchSpace
from autoisp_core.training import Training

from autoisp_search.domain.objectives import Objective


@dataclass(frozen=True, slots=True)
class Prototype:
    """The slow reference: one of the two is set."""

    builtin: str = ""
    onnx: Artifact | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What a network may cost: one of the two is set.

    Attributes:
        reduction: the prototype's cost divided by this.
        macs_per_pixel: absolute, multiply-accumulates per output pixel.
    """

    reduction: float | None = None
    macs_per_pixel: float | None = None


@dataclass(frozen=True, slots=True)
class Sensor:
    """The sensor of the synthesised raw: a built-in profile or TOML text, and what overrides it."""

    builtin: str = ""
    toml: str = ""
    test_noise: Noise | None = None
    identity_ccm: bool = False


@dataclass(frozen=True, slots=True)
class Rung:
    """A rung of successive halving: how many trials, and how long each trains (steps or seconds)."""

    trials: int
    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """All that a user decides.

    Attributes:
        rungs: empty when the service makes the plan, from ``max_duration_seconds`` or ``max_trials``, and
            ``max_parallel_trials``.
        max_duration_seconds: aim for the whole of the training; None when ``max_trials`` takes its place.
        max_trials: of the first rung, at most; None for as many as the plan has.
        warm_start: ids of ended searches whose trials the strategy learns from.
        model: ``models/{m}`` where the result is registered.
        objectives: quality alone for the one best network within the budget; with a cost, a front of both.
        test_frames_per_clip: 0 means all.
        gate: TOML, what the network must reach on the test split beside the budget; empty for none.
    """

    dataset: str
    prototype: Prototype
    budget: Budget
    model: str
    display_name: str = ""
    sensor: Sensor = Sensor(builtin="phone")
    strategy: str = "predictor"
    objectives: tuple[Objective, ...] = (Objective.QUALITY,)
    seed: int = 0
    rungs: tuple[Rung, ...] = ()
    max_parallel_trials: int = 2
    max_duration_seconds: float | None = 300.0
    max_trials: int | None = None
    warm_start: tuple[str, ...] = ()
    space: SearchSpace = field(default_factory=SearchSpace)
    training: Training = field(default_factory=Training)
    validation_frames_per_clip: int = 8
    test_frames_per_clip: int = 24
    gate: str = ""

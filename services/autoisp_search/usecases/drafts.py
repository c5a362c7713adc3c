"""What a user sent, before it is checked: 0, "" and None mean "not given"."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from autoisp_search.domain import Budget, Prototype, Rung

_NO_PROTOTYPE = Prototype()
_NO_BUDGET = Budget()


@dataclass(frozen=True, slots=True)
class SpaceDraft:
    """A search space as sent; empty lists and 0 mean the defaults."""

    types: tuple[int, ...] = ()
    kernels: tuple[int, ...] = ()
    max_layers: int = 0
    widths: tuple[int, ...] = ()
    repeats: tuple[int, ...] = ()
    packings: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()
    stem_kernels: tuple[int, ...] = ()
    head_kernels: tuple[int, ...] = ()
    recurrent: tuple[int, ...] = ()
    residual: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SensorDraft:
    """A sensor as sent; ``test_noise`` is (shot, read)."""

    builtin: str = ""
    toml: str = ""
    test_noise: tuple[float, float] | None = None
    identity_ccm: bool = False


@dataclass(frozen=True, slots=True)
class TrainingDraft:
    """How to train, as sent; ``feature_distillation`` is (tensor, weight)."""

    augmentation: str = ""
    distillation: float | None = None
    feature_distillation: tuple[str, float] | None = None
    inherit_weights: bool | None = None


@dataclass(frozen=True, slots=True)
class SearchDraft:
    """A search as sent."""

    dataset: str = ""
    prototype: Prototype = _NO_PROTOTYPE
    budget: Budget = _NO_BUDGET
    display_name: str = ""
    sensor: SensorDraft = SensorDraft()
    strategy: str = ""
    seed: int = 0
    rungs: tuple[Rung, ...] = ()
    max_parallel_trials: int = 0
    max_duration_seconds: float | None = None
    max_trials: int = 0
    objectives: tuple[str, ...] = ()
    warm_start: tuple[str, ...] = ()
    space: SpaceDraft = SpaceDraft()
    training: TrainingDraft = TrainingDraft()
    model: str = ""
    validation_frames_per_clip: int = 0
    test_frames_per_clip: int | None = None
    gate: str = ""

    def fingerprint(self) -> str:
        """Equal for equal drafts."""
        document = asdict(self)
        if self.training == TrainingDraft():
            # So drafts from before there was a choice keep the fingerprint that is in the database.
            del document["training"]
        if not self.gate:
            del document["gate"]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

"""A training as `python -m torch.distributed.run` starts it; the first process keeps what it came to.

Usage: parallel_training.py OUT STEPS KIND
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from autoisp_core.sensor import Noise, builtin
from autoisp_core.spec import Spec
from autoisp_core.training import Augmentation
from autoisp_isp.augment.settings import AugmentationSettings
from autoisp_isp.checkpoint import save_weights
from autoisp_isp.distillation import FeatureTask
from autoisp_isp.lessons import Lesson, Lessons
from autoisp_isp.parallel import ALONE, Parallel, joined
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.taught_set import TaughtSet
from autoisp_isp.training import TrainingDivergedError, TrainResult, train
from autoisp_isp.training_set import Batch, TrainingSet
from autoisp_testing.scenes import moving_scene

SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)
SEED = 3
_CHANNELS = 2


PLAIN, TAUGHT, BROKEN = "plain", "taught", "broken"
"""Footage alone; with lessons, their features and a policy; and with raw that is no number from `BAD` on."""
BAD = 5


class _Broken(TrainingSet):
    def batch(self, step: int, **options: Any) -> Batch:
        batch = super().batch(step, **options)
        return replace(batch, raw=batch.raw * torch.nan) if step >= BAD else batch


def trained(budget: TrainBudget, parallel: Parallel = ALONE, kind: str = PLAIN) -> TrainResult:
    """A short training of a small network, which only the first process keeps."""
    footage = (_Broken if kind == BROKEN else TrainingSet)(
        [("a", moving_scene(6, 64, 96))], builtin("phone").with_test_noise(Noise(0.01, 0.0005))
    )
    recipe, taught = Recipe(batch=4, patch=16), kind == TAUGHT
    if taught:
        recipe = replace(recipe, augmentation=AugmentationSettings(Augmentation.ADVERSARIAL, every=3))
    return train(
        SPEC,
        TaughtSet(footage, _lessons(footage), 0.5, share=0.4) if taught else footage,
        budget,
        SEED,
        recipe=recipe,
        parallel=parallel,
        features=FeatureTask(_CHANNELS, 0.5) if taught else None,
        on_checkpoint=None if parallel.rank else lambda _: None,
        checkpoint_seconds=0.0,
        # A slower clock than the first one's must not lead to other steps.
        should_stop=lambda: bool(parallel.rank and time.sleep(0.001)),
    )


def _lessons(footage: TrainingSet) -> Lessons:
    """Of patches as the footage has them; their own raw stands for the features."""
    made = footage.batch(0, seed=9, size=6, patch=24, frames=3)
    seen = zip(made.raw, made.gains, made.ccm, made.noise, made.truth, strict=True)
    return Lessons.of(
        [
            Lesson(raw, gains, ccm, noise, truth, truth, raw[-1, :_CHANNELS])
            for raw, gains, ccm, noise, truth in seen
        ]
    )


def main(out: Path, steps: int, kind: str) -> None:
    """One process of several."""
    budget = TrainBudget(steps=steps) if steps else TrainBudget(seconds=1.0)
    with joined("cpu") as (parallel, _):
        try:
            result = trained(budget, parallel, kind)
        except TrainingDivergedError as error:
            (out / f"{parallel.rank}.txt").write_text(error.metadata["step"])
            return
        (out / f"{parallel.rank}.safetensors").write_bytes(save_weights(result.state_dict))
        (out / f"{parallel.rank}.txt").write_text(f"{result.steps} {result.loss}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

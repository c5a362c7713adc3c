"""A training as `python -m torch.distributed.run` starts it; the first process keeps what it came to.

Usage: parallel_training.py OUT STEPS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from autoisp_core.sensor import Noise, builtin
from autoisp_core.spec import Spec
from autoisp_isp.checkpoint import save_weights
from autoisp_isp.parallel import ALONE, Parallel, joined
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.training import TrainResult, train
from autoisp_isp.training_set import TrainingSet
from autoisp_testing.scenes import moving_scene

SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)
SEED = 3


def trained(budget: TrainBudget, parallel: Parallel = ALONE) -> TrainResult:
    """A short training of a small network."""
    footage = TrainingSet(
        [("a", moving_scene(6, 64, 96))], builtin("phone").with_test_noise(Noise(0.01, 0.0005))
    )
    return train(
        SPEC,
        footage,
        budget,
        SEED,
        recipe=Recipe(batch=4, patch=16),
        parallel=parallel,
        # A slower clock than the first one's must not lead to other steps.
        should_stop=lambda: bool(parallel.rank and time.sleep(0.001)),
    )


def main(out: Path, steps: int) -> None:
    """One process of several."""
    budget = TrainBudget(steps=steps) if steps else TrainBudget(seconds=1.0)
    with joined("cpu") as (parallel, _):
        result = trained(budget, parallel)
        (out / f"{parallel.rank}.safetensors").write_bytes(save_weights(result.state_dict))
        (out / f"{parallel.rank}.txt").write_text(f"{result.steps} {result.loss}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

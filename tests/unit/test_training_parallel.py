"""Two processes that train one network together, started as on a machine with several GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import parallel_training
import pytest
import torch
from autoisp_isp.checkpoint import load_weights
from autoisp_isp.recipe import TrainBudget
from torch import Tensor


def _in_two_processes(folder: Path, steps: int) -> list[tuple[dict[str, Tensor], int, float]]:
    """Weights, steps and loss of each process."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    subprocess.run(
        [*torchrun, parallel_training.__file__, str(folder), str(steps)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=170,
    )
    ends = []
    for rank in range(2):
        done, loss = (folder / f"{rank}.txt").read_text().split()
        ends.append((load_weights((folder / f"{rank}.safetensors").read_bytes()), int(done), float(loss)))
    return ends


def test_two_processes_train_as_one_with_the_same_batch(tmp_path: Path) -> None:
    alone = parallel_training.trained(TrainBudget(steps=8))
    ends = _in_two_processes(tmp_path, 8)
    for weights, steps, loss in ends:
        assert steps == 8
        assert loss == pytest.approx(alone.loss, abs=1e-4)
        for name, value in alone.state_dict.items():
            # Up to the order of floating-point sums, whose difference grows tenfold in some five steps.
            torch.testing.assert_close(weights[name], value, atol=1e-4, rtol=0, msg=name)
    assert all(torch.equal(value, ends[1][0][name]) for name, value in ends[0][0].items())


def test_the_clock_of_the_first_process_ends_all_at_the_same_step(tmp_path: Path) -> None:
    first, second = _in_two_processes(tmp_path, 0)
    assert first[1] == second[1] > 0
    assert all(torch.equal(value, second[0][name]) for name, value in first[0].items())

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


def _run(folder: Path, steps: int, kind: str) -> None:
    """Lets each of two processes write what it came to into the folder."""
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    subprocess.run(
        [*torchrun, parallel_training.__file__, str(folder), str(steps), kind],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=170,
    )


def _in_two_processes(
    folder: Path, steps: int, kind: str = parallel_training.PLAIN
) -> list[tuple[dict[str, Tensor], int, float]]:
    """Weights, steps and loss of each process."""
    _run(folder, steps, kind)
    ends = []
    for rank in range(2):
        done, loss = (folder / f"{rank}.txt").read_text().split()
        ends.append((load_weights((folder / f"{rank}.safetensors").read_bytes()), int(done), float(loss)))
    return ends


@pytest.mark.parametrize("kind", [parallel_training.PLAIN, parallel_training.TAUGHT])
def test_two_processes_train_as_one_with_the_same_batch(tmp_path: Path, kind: str) -> None:
    alone = parallel_training.trained(TrainBudget(steps=8), kind=kind)
    ends = _in_two_processes(tmp_path, 8, kind)
    for weights, steps, loss in ends:
        assert steps == 8
        assert loss == pytest.approx(alone.loss, abs=1e-4)
        for name, value in alone.state_dict.items():
            # Up to the order of floating-point sums, whose difference grows tenfold in some five steps.
            torch.testing.assert_close(weights[name], value, atol=1e-4, rtol=0, msg=name)
    assert all(torch.equal(value, ends[1][0][name]) for name, value in ends[0][0].items())


def test_a_loss_that_is_no_number_ends_all_processes_alike(tmp_path: Path) -> None:
    _run(tmp_path, 40, parallel_training.BROKEN)
    for rank in range(2):
        assert (tmp_path / f"{rank}.txt").read_text() == str(parallel_training.BAD)


def test_the_clock_of_the_first_process_ends_all_at_the_same_step(tmp_path: Path) -> None:
    first, second = _in_two_processes(tmp_path, 0)
    assert first[1] == second[1] > 0
    assert all(torch.equal(value, second[0][name]) for name, value in first[0].items())

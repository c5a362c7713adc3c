"""How a training is computed: precision, compilation, determinism, batches made ahead."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, builtin
from autoisp_core.spec import Spec
from autoisp_isp.execution import Execution
from autoisp_isp.loss_watch import LossWatch, TrainingDivergedError
from autoisp_isp.network import build
from autoisp_isp.parallel import Parallel
from autoisp_isp.prefetch import Prefetcher
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.training import TrainResult, train
from autoisp_isp.training_set import EPOCH, TrainingSet, batch_seed
from autoisp_testing.scenes import moving_scene

_SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)
_RECIPE = Recipe(batch=2, patch=16)
_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def footage() -> TrainingSet:
    return TrainingSet(
        [("a", moving_scene(6, 64, 96))], builtin("phone").with_test_noise(Noise(0.01, 0.0005))
    )


def _train(footage: TrainingSet, steps: int = 20, **options: Any) -> TrainResult:
    return train(_SPEC, footage, TrainBudget(steps=steps), 3, recipe=_RECIPE, **options)


def _same(first: TrainResult, second: TrainResult) -> bool:
    return all(torch.equal(value, second.state_dict[name]) for name, value in first.state_dict.items())


def test_batches_made_ahead_change_no_bit(footage: TrainingSet) -> None:
    plain = _train(footage, EPOCH + 5)
    before = threading.active_count()
    ahead = _train(footage, EPOCH + 5, execution=Execution(prefetch=True))
    assert _same(plain, ahead)
    assert threading.active_count() == before


def test_what_fails_ahead_is_raised_at_its_step() -> None:
    def make(step: int) -> int:
        if step == 5:
            raise ValueError("broken patch")
        return step * step

    with Prefetcher(make, 2, ahead=3) as prefetched:
        assert [prefetched(step) for step in (2, 3, 4)] == [4, 9, 16]
        with pytest.raises(ValueError, match="broken patch"):
            prefetched(5)


def test_the_usual_execution_is_that_of_the_device() -> None:
    usual = Execution()
    assert not usual.prefetches(_CPU)
    assert usual.prefetches(torch.device("cuda", 1))
    assert Execution(prefetch=True).prefetches(_CPU)
    with usual.autocast(_CPU):
        assert not torch.is_autocast_enabled("cpu")


def test_bfloat16_trains_nearly_as_well_and_gives_float32_weights(footage: TrainingSet) -> None:
    full = _train(footage, 60)
    half = _train(footage, 60, execution=Execution(precision="bfloat16"))
    assert not _same(full, half), "the convolutions were not rounded"
    assert {value.dtype for value in half.state_dict.values()} == {torch.float32}
    assert half.loss == pytest.approx(full.loss, abs=0.1)


def test_the_tenth_network_of_a_process_is_compiled_like_the_first(
    footage: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs: list[int] = []
    compiler = torch.compile

    def as_it_is(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        graphs.append(len(inputs))
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda network: compiler(network, backend=as_it_is))
    counts = []
    for width in range(8, 18):
        before = len(graphs)
        spec, budget = replace(_SPEC, width=width), TrainBudget(steps=1)
        train(spec, footage, budget, 3, recipe=_RECIPE, execution=Execution(compile=True))
        counts.append(len(graphs) - before)
    assert counts[0] > 0
    assert set(counts) == {counts[0]}


def test_under_autocast_the_picture_keeps_its_precision() -> None:
    torch.manual_seed(0)
    network = build(replace(_SPEC, residual=1))
    sample = torch.rand(1, 3, 4, 16, 16), torch.ones(1, 3), torch.eye(3)[None], torch.full((1, 2), 1e-3)
    with torch.no_grad(), Execution(precision="bfloat16").autocast(_CPU):
        half = network(*sample)
    assert half.dtype == torch.float32
    rounded = half.to(torch.bfloat16).float()
    assert float((half - rounded).abs().max()) > 1e-3, "the picture is in steps of bfloat16"
    torch.testing.assert_close(half, network(*sample).detach(), atol=0.03, rtol=0)


def test_determinism_lasts_as_long_as_the_training(footage: TrainingSet) -> None:
    during = []

    def watch() -> bool:
        during.append(torch.are_deterministic_algorithms_enabled())
        return False

    execution = Execution(deterministic=True)
    first = _train(footage, 3, execution=execution, should_stop=watch)
    assert during == [True] * 3
    assert not torch.are_deterministic_algorithms_enabled()
    assert _same(first, _train(footage, 3, execution=execution))


def test_a_loss_that_is_no_number_is_found_with_its_step_and_batch() -> None:
    watch = LossWatch(seed=7)
    watch.add(10, torch.tensor(1.0))
    watch.add(11, torch.tensor(2.0))
    assert watch.mean == pytest.approx(1.02)
    with pytest.raises(TrainingDivergedError) as caught:
        watch.add(12, torch.tensor(torch.inf))
    assert caught.value.metadata["step"] == "12"
    assert caught.value.metadata["seed"] == "7"
    assert caught.value.metadata["batch_seed"] == str(batch_seed(7, 12))
    assert str(batch_seed(7, 12)) in str(caught.value)


def test_losses_read_some_at_a_time_still_tell_the_first_bad_step() -> None:
    watch = LossWatch(seed=7, every=4)
    for step, value in enumerate((1.0, 2.0, torch.nan), start=40):
        watch.add(step, torch.tensor(value))
    assert np.isnan(watch.mean), "nothing was read yet"
    with pytest.raises(TrainingDivergedError) as caught:
        watch.add(43, torch.tensor(3.0))
    assert caught.value.metadata["step"] == "42"


def test_a_batch_that_can_not_be_shared_is_refused(footage: TrainingSet) -> None:
    assert [Parallel(rank, 2).part(8) for rank in (0, 1)] == [slice(0, 4), slice(4, 8)]
    with pytest.raises(InvalidArgumentError, match="multiple of 3") as caught:
        _train(footage, parallel=Parallel(1, 3))
    assert caught.value.field == "recipe.batch"

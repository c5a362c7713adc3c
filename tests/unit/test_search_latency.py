"""Latency is predicted from what was measured before, and the error of that is told."""

import math
import random
from statistics import median

from autoisp_core.spec import LayerType, SearchSpace, Spec
from autoisp_search.board import Board
from autoisp_search.domain import MeasuredCost, Quality, Trial, TrialState
from autoisp_search.strategies.latency import LatencyModel, reference_seconds
from search_fakes import START, FakeClock, FakeStore, FakeWorker, Service, draft, run_to_end, running_search


def slow_at_depthwise(spec: Spec, rng: random.Random) -> float:
    """Another device: twice as slow, much slower at depthwise convolutions, faster at packing 4."""
    depthwise = sum(layer.type == LayerType.DEPTHWISE for layer in spec.block) / len(spec.block)
    shape = math.exp(0.8 * depthwise - 0.3 * (spec.packing == 4) + rng.gauss(0, 0.03))
    return 2 * reference_seconds(spec) * shape


def test_what_a_device_is_bad_at_is_learned() -> None:
    rng, model = random.Random(1), LatencyModel()
    by_factor, by_model = [], []
    for _ in range(300):
        spec = SearchSpace().sample_within(rng, 2000)
        measured = slow_at_depthwise(spec, rng)
        by_factor.append(abs(2 * reference_seconds(spec) / measured - 1))
        by_model.append(abs(model.predict(spec) / measured - 1))
        model.measured(spec, measured)
    assert median(by_factor[100:]) > 0.12
    assert median(by_model[100:]) < 0.05


def test_hiccups_are_not_learned() -> None:
    rng, model = random.Random(2), LatencyModel()
    errors = []
    for _ in range(200):
        spec = SearchSpace().sample_within(rng, 2000)
        measured = reference_seconds(spec)
        errors.append(abs(model.predict(spec) / measured - 1))
        model.measured(spec, measured * (30 if rng.random() < 0.05 else 1))
    assert median(errors[50:]) < 0.05


def trial(ordinal: int, predicted: float | None, measured: float) -> Trial:
    spec = SearchSpace().sample_within(random.Random(ordinal), 2000)
    return Trial(
        "s",
        0,
        ordinal,
        spec.to_json(),
        f"hash {ordinal}",
        START,
        state=TrialState.SUCCEEDED,
        quality=Quality(28.0, 0.9),
        cost=MeasuredCost(1000.0, 1, 1, measured),
        told=ordinal,
        predicted_seconds_per_megapixel=predicted,
    )


def test_the_error_is_that_of_predictions_made_before() -> None:
    search = running_search()
    assert Board(search).latency_error_percent() is None
    assert Board(search, [trial(1, None, 1.0)]).latency_error_percent() is None
    board = Board(search, [trial(1, 0.9, 1.0), trial(2, 1.5, 1.0), trial(3, 2.4, 2.0)])
    assert round(board.latency_error_percent() or 0, 6) == 20
    board.put(trial(4, 2.0, 2.0))
    assert round(board.latency_error_percent() or 0, 6) == 15


async def test_a_search_tells_it() -> None:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)
    await service.searches.create(draft(max_duration_seconds=600.0), "s")
    await run_to_end(FakeWorker(store, clock), service)
    search = (await service.searches.get("s")).search
    # The fake worker is 1.3 to 1.6 times as slow as the reference, by chance.
    assert 2 < search.strategy_figures["latency_error_percent"] < 15
    firsts = [trial for trial in await store.trials("s") if trial.rung == 0]
    assert all(trial.predicted_seconds_per_megapixel for trial in firsts)

"""Searches with more objectives than one: who goes up and what is kept, in whatever order it is read."""

import random
from dataclasses import replace

import pytest
from autoisp_search.board import Board
from autoisp_search.domain import MeasuredCost, Objective, Quality, Rung, Trial, TrialState
from autoisp_search.fronts import ranks
from autoisp_search.pareto import ParetoFront, pareto_front
from autoisp_search.ranking import FrontRanking, OrderRanking, Standing
from search_fakes import (
    COUNTED,
    START,
    FakeClock,
    FakeStore,
    FakeWorker,
    Service,
    draft,
    run_to_end,
    running_search,
)

BOTH = (Objective.QUALITY, Objective.MACS)


def standing(point: tuple[float, ...], number: int, *, aside: bool = False) -> Standing:
    return Standing(aside, point, (f"{number:04d}",), f"{number:04d}")


def trial(ordinal: int, psnr: float, macs: float, **changes: object) -> Trial:
    made = Trial(
        "s",
        0,
        ordinal,
        "{}",
        f"hash {ordinal}",
        START,
        state=TrialState.SUCCEEDED,
        quality=Quality(psnr, 0.9),
        cost=MeasuredCost(macs, 1, 1, 0.0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_one_at_a_time_gives_the_fronts_of_all_at_once(objectives: int, seed: int) -> None:
    chance = random.Random(seed)
    # Small whole numbers: many are equal in an objective, some in all.
    points = [tuple(float(chance.randint(0, 9)) for _ in range(objectives)) for _ in range(120)]
    ranking = FrontRanking()
    for number, point in enumerate(points):
        ranking.add(standing(point, number))
    expected = ranks(points)
    order = []
    while (best := ranking.best()) is not None:
        ranking.promote(best)
        order.append(expected[int(best)])
    assert order == sorted(expected)


def test_within_a_front_the_extremes_and_the_loneliest_go_up_first() -> None:
    ranking = FrontRanking()
    points = [(-30.0, 900.0), (-29.9, 880.0), (-29.8, 860.0), (-27.0, 500.0), (-22.0, 100.0), (-21.0, 900.0)]
    for number, point in enumerate(points):
        ranking.add(standing(point, number))
    order = []
    while (best := ranking.best()) is not None:
        ranking.promote(best)
        order.append(int(best))
    assert order == [0, 4, 3, 2, 1, 5]


@pytest.mark.parametrize("ranking", [OrderRanking(), FrontRanking()])
def test_what_is_over_the_budget_comes_last(ranking: OrderRanking | FrontRanking) -> None:
    ranking.add(standing((-40.0,), 1, aside=True))
    ranking.add(standing((-20.0,), 2))
    assert ranking.best() == "0002"
    ranking.promote("0002")
    assert ranking.best() == "0001"
    ranking.promote("0001")
    assert ranking.best() is None


def test_what_is_far_below_the_prototype_does_not_go_up_for_being_cheap() -> None:
    search = replace(running_search(objectives=BOTH), macs_limit=1e9, seconds_limit=None)
    assert search.profile is not None
    assert search.profile.quality is not None
    near = search.profile.quality.psnr_db
    board = Board(search)
    for each in (trial(1, near, 900), trial(2, near - 1, 700), trial(3, near - 2, 600), trial(4, 4.0, 10)):
        board.put(each)
    order = []
    while (found := board.next_up(0)) is not None:
        board.put(trial(found.ordinal, near, 1, rung=1, state=TrialState.QUEUED, parent=found.trial_id))
        order.append(found.ordinal)
    assert order == [1, 3, 2, 4]
    assert board.front.trial_ids()[0] == "r0-0004"


def test_a_front_lets_what_was_held_down_come_up_again() -> None:
    front = ParetoFront(BOTH)
    for each in (trial(1, 28.0, 500), trial(2, 27.0, 600), trial(3, 26.0, 100)):
        front.add(each)
    assert front.trial_ids() == ("r0-0003", "r0-0001")
    # Trained for longer it turned out worse: a lucky start.
    front.add(trial(1, 26.5, 500, rung=1, spec_hash="hash 1"))
    assert front.trial_ids() == ("r0-0003", "r1-0001", "r0-0002")


@pytest.mark.parametrize("seed", range(5))
def test_a_front_is_what_nothing_dominates(seed: int) -> None:
    chance = random.Random(seed)
    trials = [
        trial(n, chance.randint(200, 240) / 10, chance.randint(1, 40), rung=chance.randint(0, 1))
        for n in range(1, 80)
    ]
    points = [(-t.quality.psnr_db, t.cost.macs_per_pixel or 0.0) for t in trials if t.quality and t.cost]
    best = {points[index] for index, rank in enumerate(ranks(points)) if rank == 0}
    kept = [trials[[t.trial_id for t in trials].index(name)] for name in pareto_front(trials, BOTH)]
    assert {(-t.quality.psnr_db, t.cost.macs_per_pixel) for t in kept if t.quality and t.cost} == best


def test_a_board_made_anew_is_the_one_that_was() -> None:
    search = replace(running_search(objectives=BOTH), macs_limit=1e9, seconds_limit=None)
    chance, live, trials = random.Random(3), Board(search), []
    for told in range(1, 60):
        trials.append(trial(told, chance.uniform(20, 30), chance.uniform(100, 900), told=told))
        live.put(trials[-1])
        if told % 4 == 0 and (parent := live.next_up(0)):
            child = replace(
                trial(told // 4, 0.0, 1.0),
                rung=1,
                parent=parent.trial_id,
                state=TrialState.QUEUED,
                quality=None,
            )
            trials.append(child)
            live.put(child)
    chance.shuffle(trials)
    anew = Board(search, trials)
    assert anew.front.trial_ids() == live.front.trial_ids()
    assert anew.next_up(0) == live.next_up(0)
    assert (anew.started, anew.finished, anew.in_flight()) == (live.started, live.finished, live.in_flight())


async def test_a_search_keeps_its_front_and_hands_over_the_best() -> None:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)
    plan = draft(
        objectives=("quality", "macs"), rungs=(Rung(24, steps=1), Rung(6, steps=2)), max_parallel_trials=1
    )
    await service.searches.create(plan, "s")
    await run_to_end(FakeWorker(store, clock, COUNTED), service)
    search = (await service.searches.get("s")).search
    trials = {trial.trial_id: trial for trial in await store.trials("s")}
    assert search.pareto_trials == pareto_front(trials.values(), BOTH)
    above = [trial for trial in trials.values() if trial.rung == 1]
    assert trials[search.best_trial].quality == max(
        (trial.quality for trial in above if trial.quality), key=lambda quality: quality.psnr_db
    )
    # A front goes up, not the most expensive six.
    macs = [trial.cost.macs_per_pixel or 0.0 for trial in above if trial.cost]
    assert min(macs) < 0.5 * max(macs)


def test_what_was_as_good_as_one_that_got_worse_is_on_the_front() -> None:
    trials = [trial(1, 25.0, 500), trial(2, 25.0, 500), trial(1, 24.0, 500, rung=1, spec_hash="hash 1")]
    assert pareto_front(trials[:2]) == ("r0-0001",)
    assert pareto_front(trials) == ("r0-0002",)

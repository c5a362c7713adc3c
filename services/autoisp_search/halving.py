"""Successive halving: what a search does next, decided from its trials alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from autoisp_core.spec import Spec, canonical_hash

from autoisp_search.domain import Search, SearchState, Trial, TrialState
from autoisp_search.outcome import first_rung_failure
from autoisp_search.pareto import pareto_front, ranked, succeeded
from autoisp_search.plan import first_rung_over, fitted_plan
from autoisp_search.strategies import SpaceExhaustedError, Strategy, rebuild

_GIVEN_UP_PER_TRIAL, _GIVEN_UP_MORE = 2, 8
_GROWTH = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: the search as it is then, and the trials to start (none once it has ended)."""

    search: Search
    start: tuple[Trial, ...] = ()


def advance(search: Search, trials: Sequence[Trial], now: datetime) -> Decision:
    """Start trials while there is room, go up a rung when one is through, end after the last.

    The same search and trials give the same decision, but for ``now`` in its time stamps; so a service may
    ask at any time, also again after a restart.
    """
    if search.state is not SearchState.RUNNING:
        return Decision(search)
    known, started = list(trials), []
    strategy: Strategy | None = None
    while True:
        room = search.settings.max_parallel_trials - sum(not trial.state.final for trial in known)
        if room > 0 and search.rung == 0:
            strategy = strategy or rebuild(search, known)
            trial = _next_of_first(search, known, strategy, now)
        elif room > 0:
            trial = _next_promoted(search, known, now)
        else:
            break
        if trial is not None:
            known.append(trial)
            started.append(trial)
            continue
        if any(not trial.state.final for trial in known):
            break
        search = _rung_through(search, known, now)
        if search.state is not SearchState.RUNNING:
            break
    return Decision(_with_results(search, known), tuple(started))


def _next_of_first(search: Search, known: Sequence[Trial], strategy: Strategy, now: datetime) -> Trial | None:
    ordinal = len(known) + 1
    spec = _proposed(search, known, strategy, ordinal) or _last_resort(search, known)
    if spec is None:
        return None
    return Trial(
        search.search_id,
        0,
        ordinal,
        spec.to_json(),
        canonical_hash(spec),
        create_time=now,
        told_before=search.told,
    )


def _proposed(search: Search, known: Sequence[Trial], strategy: Strategy, ordinal: int) -> Spec | None:
    try:
        return strategy.ask(ordinal) if _first_wants_more(search, known) else None
    except SpaceExhaustedError:
        return None


def _last_resort(search: Search, known: Sequence[Trial]) -> Spec | None:
    """The cheapest spec of all, which must be refused too before a budget is called out of reach."""
    if any(trial.state is not TrialState.PRUNED for trial in known):
        return None
    cheapest = search.settings.space.cheapest()
    return None if canonical_hash(cheapest) in {trial.spec_hash for trial in known} else cheapest


def _first_wants_more(search: Search, known: Sequence[Trial]) -> bool:
    rung = search.rungs[0]
    pruned = sum(trial.state is TrialState.PRUNED for trial in known)
    # A pruned trial never ran; another takes its place, but not for ever.
    if pruned >= _GIVEN_UP_PER_TRIAL * rung.trials + _GIVEN_UP_MORE:
        return False
    trained = len(known) - pruned
    if not search.adaptive:
        return trained < rung.trials
    if trained == 0:
        return True
    fits = not first_rung_over(known, rung, search.settings.max_duration_seconds)
    return fits and trained < _GROWTH * rung.trials


def _next_promoted(search: Search, known: Sequence[Trial], now: datetime) -> Trial | None:
    ordinal = sum(trial.rung == search.rung for trial in known) + 1
    candidates = _candidates(search, known)[: search.rungs[search.rung].trials]
    if ordinal > len(candidates):
        return None
    parent = candidates[ordinal - 1]
    return Trial(
        search.search_id,
        search.rung,
        ordinal,
        parent.spec,
        parent.spec_hash,
        create_time=now,
        parent=parent.trial_id,
    )


def _candidates(search: Search, known: Sequence[Trial]) -> list[Trial]:
    """Best first: of the rung below, or of the next one down that had any success."""
    below = [trial for trial in known if trial.rung < search.rung]
    for rung in range(search.rung - 1, -1, -1):
        if found := succeeded(known, rung):
            return ranked(search, found, below)
    return []


def _rung_through(search: Search, known: Sequence[Trial], now: datetime) -> Search:
    if search.rung == 0 and not succeeded(known):
        return search.failed(first_rung_failure(search, known), now)
    if search.rung + 1 < len(search.rungs):
        search = replace(search, rung=search.rung + 1)
        return _fitted(search, known) if search.adaptive else search
    # Training goes on from rung to rung, so the highest rung with a success has the best networks.
    top = max(trial.rung for trial in succeeded(known))
    return search.succeeded(ranked(search, succeeded(known, top), known)[0].trial_id, now)


def _fitted(search: Search, known: Sequence[Trial]) -> Search:
    settings = search.settings
    plan = fitted_plan(
        search.rungs, search.rung, known, settings.max_duration_seconds, settings.max_parallel_trials
    )
    return replace(search, rungs=plan)


def _with_results(search: Search, known: Sequence[Trial]) -> Search:
    """The search with its front and, where the first rung took its own course, the plan as it went."""
    search = replace(search, pareto_trials=pareto_front(known))
    if search.adaptive and search.rung > 0:
        trained = sum(trial.rung == 0 and trial.state is not TrialState.PRUNED for trial in known)
        search = replace(search, rungs=(replace(search.rungs[0], trials=trained), *search.rungs[1:]))
    return search

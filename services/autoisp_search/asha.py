"""Asynchronous successive halving: what a free worker does next, decided from the trials so far.

Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar: "A System for Massively Parallel Hyperparameter
Tuning", MLSys 2020. With more objectives than one, trials go up by non-dominated rank and crowding distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime

from autoisp_core.spec import Spec, canonical_hash

from autoisp_search.board import Board
from autoisp_search.domain import Rung, Search, SearchState, Trial
from autoisp_search.outcome import first_rung_failure
from autoisp_search.plan import finalist_seconds, finalists, first_phase_over
from autoisp_search.strategies import SpaceExhaustedError, Strategy

_GIVEN_UP_PER_TRIAL, _GIVEN_UP_MORE = 2, 8
_GROWTH = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows: the search as it is then, the trials to start, and those nobody waits for any more."""

    search: Search
    start: tuple[Trial, ...] = ()
    stop: tuple[Trial, ...] = ()


def advance(search: Search, board: Board, strategy: Strategy, now: datetime) -> Decision:
    """Start trials while there is room, and end when nothing better can come.

    The same search, trials and strategy give the same decision, but for ``now`` in its time stamps; so a
    service may ask at any time, also again after a restart. The board has what was started when this returns.
    """
    if search.state is not SearchState.RUNNING:
        return Decision(search)
    turn = _Turn(search, board, strategy, now)
    started: list[Trial] = []
    while (trial := turn.next()) is not None:
        board.put(trial)
        started.append(trial)
    search = turn.ended() if _ended(turn.search, board) else turn.search
    stop = tuple(board.unfinished()) if search.state.final else ()
    return Decision(_with_results(search, board, strategy), tuple(started), stop)


class _Turn:
    """One decision."""

    def __init__(self, search: Search, board: Board, strategy: Strategy, now: datetime) -> None:
        self.search = search
        self._board = board
        self._strategy = strategy
        self._now = now
        self._top = len(search.rungs) - 1

    def next(self) -> Trial | None:
        """The next trial to start, or None if there is no room or nothing to do."""
        if self._board.in_flight() >= self.search.settings.max_parallel_trials:
            return None
        if not self.search.adaptive:
            return self._earned(self._top) or self._asked() or self._early()
        if not self._board.started[self._top]:
            trial = self._earned(self._top - 1) or self._asked()
            if trial is not None:
                return trial
        return self._finalist()

    def ended(self) -> Search:
        """The search at its end."""
        winner = self._board.winner()
        if winner is None:
            return self.search.failed(first_rung_failure(self.search, self._board.trials()), self._now)
        return self.search.succeeded(winner.trial_id, self._now)

    def _earned(self, highest: int) -> Trial | None:
        """Up to rung ``highest`` at most: of each so many finished trials one has earned its way up.

        When one fails there, the next best takes its place.
        """
        board, rungs = self._board, self.search.rungs
        for below in reversed(range(highest)):
            wanted = rungs[below + 1].trials
            quota = min(wanted, board.finished[below] * wanted // rungs[below].trials)
            if board.holding(below + 1) < quota and (best := board.next_up(below)):
                return self._promoted(best, below + 1)
        return None

    def _early(self) -> Trial | None:
        """Up without waiting for the last of a rung: nothing new comes, and somebody has nothing to do.

        One more than has been earned, once more trials of the rung have ended than are running; and whatever
        is missing above when nothing runs below.
        """
        board, rungs = self._board, self.search.rungs
        for above in range(1, len(rungs)):
            for below in reversed(range(above)):
                running = board.in_flight(*range(below + 1))
                wanted = quota = rungs[above].trials
                if running:
                    earned = -(-board.finished[below] * wanted // rungs[below].trials)
                    quota = min(wanted, earned) if board.finished[below] > running else 0
                if board.holding(above) < quota and (best := board.next_up(below)):
                    return self._promoted(best, above)
                if running:
                    break  # only a rung of which nothing is left to hope for is passed over
        return None

    def _finalist(self) -> Trial | None:
        """With the clock: the best so far goes to the last rung, for the time that is left."""
        board, settings, rungs = self._board, self.search.settings, self.search.rungs
        duration, workers = settings.max_duration_seconds or 0.0, settings.max_parallel_trials
        # A finalist that queued behind others would take its time from the end.
        if board.in_flight() >= board.worktime.present(workers):
            return None
        begun = board.started[self._top]
        wanted = rungs[-1].trials if begun else finalists(rungs, board.worktime, duration, workers)
        failed = board.finished[self._top] - board.successes[self._top]
        best = next(filter(None, map(board.next_up, reversed(range(self._top)))), None)
        if best is None or begun - failed >= wanted:
            return None
        seconds = finalist_seconds(board.worktime, duration, workers, wanted - begun + failed)
        # Another takes a failed one's place, unless it would train for less than it has.
        if begun >= wanted and seconds < (rungs[-2].seconds or 0.0):
            return None
        if not begun:
            self.search = replace(self.search, rungs=(*rungs[:-1], Rung(wanted, seconds=seconds)))
        return replace(self._promoted(best, self._top), seconds=seconds)

    def _promoted(self, parent: Trial, rung: int) -> Trial:
        return Trial(
            self.search.search_id,
            rung,
            self._board.asked[rung] + 1,
            parent.spec,
            parent.spec_hash,
            create_time=self._now,
            parent=parent.trial_id,
            told_before=self.search.told,
            revision=self.search.revision,
        )

    def _asked(self) -> Trial | None:
        """One more of the first rung, if it wants more and there is any."""
        ordinal = self._board.asked[0] + 1
        spec = self._proposed(ordinal) or self._last_resort(ordinal)
        if spec is None:
            return None
        return Trial(
            self.search.search_id,
            0,
            ordinal,
            spec.to_json(),
            canonical_hash(spec),
            create_time=self._now,
            inherits_from=self._board.donors.nearest(spec),
            told_before=self.search.told,
            predicted_seconds_per_megapixel=self._board.latency.predict(spec),
            revision=self.search.revision,
        )

    def _proposed(self, ordinal: int) -> Spec | None:
        try:
            return self._strategy.ask(ordinal) if self._first_wants_more() else None
        except SpaceExhaustedError:
            return None

    def _last_resort(self, ordinal: int) -> Spec | None:
        """The cheapest spec of all, which must be refused too before a budget is called out of reach."""
        if self._board.started[0]:
            return None
        cheapest = self.search.settings.space.cheapest()
        spec_hash = canonical_hash(cheapest)
        if self._board.tried(spec_hash):
            return None
        self._strategy.replay(ordinal, cheapest, spec_hash)
        return cheapest

    def _first_wants_more(self) -> bool:
        board, rung, settings = self._board, self.search.rungs[0], self.search.settings
        # A pruned trial never ran; another takes its place, but not for ever.
        if board.pruned >= _GIVEN_UP_PER_TRIAL * rung.trials + _GIVEN_UP_MORE:
            return False
        trained = board.started[0]
        if not self.search.adaptive:
            return trained < rung.trials
        most = _GROWTH * rung.trials
        if trained >= min(most, settings.max_trials or most):
            return False
        over = first_phase_over(self.search.rungs, board.worktime, settings.max_duration_seconds or 0.0)
        return trained == 0 or not over


def _ended(search: Search, board: Board) -> bool:
    """Whether nothing runs, or nothing that could still matter: only the last rung is waited for."""
    top = len(search.rungs) - 1
    complete = top > 0 and board.finished[top] >= search.rungs[top].trials and board.successes[top] > 0
    return not board.in_flight() or (complete and not board.in_flight(top))


def _with_results(search: Search, board: Board, strategy: Strategy) -> Search:
    """The search with its front and figures and, where the plan followed the clock, the plan as it went."""
    reached = max((rung for rung, count in board.asked.items() if count), default=0)
    rungs = search.rungs
    if search.adaptive and (reached == len(rungs) - 1 or search.state.final):
        went = [replace(rung, trials=board.started[index]) for index, rung in enumerate(rungs)]
        rungs = tuple(went) if search.state.final else (*went[:-1], rungs[-1])
    return replace(
        search,
        rung=reached,
        rungs=rungs,
        pareto_trials=board.front.trial_ids(),
        strategy_figures=_figures(board, strategy),
    )


def _figures(board: Board, strategy: Strategy) -> dict[str, float]:
    # What a strategy can't tell yet is left out: JSON has no word for it.
    figures = {name: value for name, value in strategy.figures().items() if math.isfinite(value)}
    if (error := board.latency_error_percent()) is not None:
        figures["latency_error_percent"] = error
    return figures

"""Running searches in memory, so that a result costs the same after ten thousand others as after ten."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from autoisp_core.spec import Spec

from autoisp_search.board import Board
from autoisp_search.domain import Search, Trial
from autoisp_search.strategies import Strategy, outcome, rebuild
from autoisp_search.usecases.ports import Transaction


class LiveSearch:
    """The trials and the strategy of a running search, as of one revision of it.

    Args:
        search: running.
        trials: all of it, in any order.
        prior: trials of other searches, that its strategy learns from and its trials may inherit from.
    """

    def __init__(self, search: Search, trials: Iterable[Trial], prior: Iterable[Trial]) -> None:
        trials, prior = list(trials), list(prior)
        self.revision = search.revision
        self.board = Board(search, trials)
        if search.settings.training.inherit_weights:
            for trial in prior:
                self.board.donors.add(trial)
        told = [(Spec.from_json(trial.spec), outcome(trial)) for trial in prior]
        self.strategy: Strategy = rebuild(search, trials, told)

    def ended(self, trial: Trial) -> None:
        """A trial has ended: the strategy learns of it, whichever rung it was of."""
        self.board.put(trial)
        self.strategy.tell(Spec.from_json(trial.spec), outcome(trial))


class LiveSearches:
    """Those this process works on. The database is the truth: what doesn't match it is made anew from it."""

    def __init__(self) -> None:
        self._kept: dict[str, LiveSearch] = {}

    async def of(self, transaction: Transaction, search: Search) -> LiveSearch:
        """The search in memory as of ``search.revision``; whoever changes it sets its new revision."""
        known = self._kept.get(search.search_id)
        if known is not None and known.revision == search.revision:
            return known
        trials = await transaction.trials(search.search_id)
        prior = await _prior(transaction, search)
        live = await asyncio.to_thread(LiveSearch, search, trials, prior)
        self._kept[search.search_id] = live
        return live

    def note(self, search: Search, trial: Trial, revision: int) -> None:
        """A trial of ``search`` made progress, which is revision ``revision``."""
        known = self._kept.get(search.search_id)
        if known is not None and known.revision == search.revision:
            known.board.put(trial)
            known.revision = revision

    def drop(self, search_id: str) -> None:
        """It has ended, or it can't be trusted."""
        self._kept.pop(search_id, None)

    @contextmanager
    def trusted(self, search_id: str) -> Iterator[None]:
        """Drops the search if the block raises: the database was rolled back, memory can't be."""
        try:
            yield
        except BaseException:
            self.drop(search_id)
            raise

    def __len__(self) -> int:
        return len(self._kept)


async def _prior(transaction: Transaction, search: Search) -> list[Trial]:
    """The ended trials of earlier searches, in the order of their names and of their results.

    Those searches have ended, so it is the same whenever it is asked for.
    """
    found: list[Trial] = []
    for search_id in search.settings.warm_start:
        trials = [trial for trial in await transaction.trials(search_id) if trial.told is not None]
        found += sorted(trials, key=lambda trial: trial.told or 0)
    return found

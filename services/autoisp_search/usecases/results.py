"""What workers tell, and what follows from it. Every handler may be called again with the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from autoisp_search.domain import (
    Failure,
    ProfilePrototype,
    PrototypeProfile,
    RunTrial,
    Search,
    SearchCompleted,
    SearchState,
    Trial,
    TrialResult,
    TrialState,
)
from autoisp_search.halving import advance
from autoisp_search.outcome import unreachable_macs
from autoisp_search.usecases.changes import Changes
from autoisp_search.usecases.ports import Clock, SearchStore, Transaction

SILENCE = timedelta(minutes=10)
"""A worker reports every second or two; one not heard for so long is gone."""


class ResultHandlers:
    """Moves searches on.

    Args:
        store: where searches are kept.
        changes: told of every change.
        clock: the time.
    """

    def __init__(self, store: SearchStore, changes: Changes, clock: Clock) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock

    async def profiled(self, search_id: str, outcome: PrototypeProfile | Failure) -> None:
        """The prototype was measured, or could not be: start the first trials, or end."""
        async with self._store.transaction() as transaction:
            search = await transaction.search(search_id)
            if search is None or search.state is not SearchState.PROFILING:
                return
            now, search = self._clock(), search.changed()
            failure = outcome if isinstance(outcome, Failure) else _unusable(outcome)
            if isinstance(outcome, PrototypeProfile) and failure is None:
                search = search.profiled(outcome, now)
                failure = unreachable_macs(search)
            if failure is not None:
                await transaction.save(search.failed(failure, now))
            else:
                await self._advance(transaction, search)
        self._changes.notify(search_id)

    async def reported(self, search_id: str, trial_id: str, worker: str, progress: float, steps: int) -> None:
        """A trial runs. An old report of one that has ended, or of a search that has, changes nothing."""
        async with self._store.transaction() as transaction:
            search = await transaction.search(search_id)
            trial = await transaction.trial(search_id, trial_id)
            if search is None or trial is None or search.state.final or trial.state.final:
                return
            search = search.changed()
            reported = trial.reported(worker, progress, steps, self._clock())
            await transaction.save_trial(reported.at(search.revision))
            await transaction.save(search)
        self._changes.notify(search_id)

    async def completed(self, search_id: str, trial_id: str, result: TrialResult) -> None:
        """A trial has ended: record it once, and do what follows."""
        async with self._store.transaction() as transaction:
            search = await transaction.search(search_id)
            trial = await transaction.trial(search_id, trial_id)
            if search is None or trial is None or search.state.final or trial.state.final:
                return
            search = search.changed()
            search = replace(search, told=search.told + 1)
            ended = trial.completed(_checked(result), search.told, self._clock())
            await transaction.save_trial(ended.at(search.revision))
            await self._advance(transaction, search)
        self._changes.notify(search_id)

    async def resume(self) -> int:
        """Go on with every unfinished search, as after a start; returns how many there are.

        What nobody is heard to work on is commanded once more, in case the broker lost its disk. Else
        JetStream knows the command's id and drops the copy, or the worker knows the result and only tells it.
        """
        unfinished = await self._store.unfinished()
        for search_id in unfinished:
            async with self._store.transaction() as transaction:
                search = await transaction.search(search_id)
                if search is None or search.state.final:
                    continue
                if search.state is SearchState.PROFILING:
                    await transaction.emit(ProfilePrototype(search))
                else:
                    await self._command_again(transaction, search)
                    await self._advance(transaction, search.changed())
            self._changes.notify(search_id)
        return len(unfinished)

    async def _command_again(self, transaction: Transaction, search: Search) -> None:
        trials = {trial.trial_id: trial for trial in await transaction.trials(search.search_id)}
        silent_since = self._clock() - SILENCE
        for trial in trials.values():
            if not trial.state.final and (trial.heard is None or trial.heard < silent_since):
                await self._command(transaction, search, trial, trials)

    async def _advance(self, transaction: Transaction, search: Search) -> None:
        trials = {trial.trial_id: trial for trial in await transaction.trials(search.search_id)}
        decision = advance(search, list(trials.values()), self._clock())
        search = decision.search
        for trial in decision.start:
            await transaction.save_trial(trial.at(search.revision))
            await self._command(transaction, search, trial, trials)
        await transaction.save(search)
        if search.state is SearchState.SUCCEEDED:
            view = await transaction.view(search)
            await transaction.emit(SearchCompleted(view, trials[search.best_trial]))

    @staticmethod
    async def _command(
        transaction: Transaction, search: Search, trial: Trial, trials: Mapping[str, Trial]
    ) -> None:
        parent = trials.get(trial.parent)
        checkpoint = parent.checkpoint if parent else None
        await transaction.emit(RunTrial(search, trial, search.rungs[trial.rung], checkpoint))


def _checked(result: TrialResult) -> TrialResult:
    """A success without its figures or its network is none."""
    if result.state is not TrialState.SUCCEEDED:
        return result
    missing = [name for name in ("quality", "cost", "onnx") if getattr(result, name) is None]
    if result.quality and not math.isfinite(result.quality.psnr_db):
        missing.append("finite quality")
    if not missing:
        return result
    failure = Failure("NO_METRICS", f"the worker reported success without {', '.join(missing)}; see its log")
    return replace(result, state=TrialState.FAILED, failure=failure, quality=None)


def _unusable(profile: PrototypeProfile) -> Failure | None:
    cost = profile.cost
    figure = cost.seconds_per_megapixel if cost.macs_per_pixel is None else cost.macs_per_pixel
    if math.isfinite(figure) and figure > 0:
        return None
    return Failure(
        "PROTOTYPE_UNMEASURED",
        f"the prototype's cost was measured as {figure:g}, so no budget follows from it; check the "
        "prototype, or give search.budget.macs_per_pixel",
    )

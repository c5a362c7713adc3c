"""What workers tell, and what follows from it. Every handler may be called again with the same."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from autoisp_core import names

from autoisp_search.asha import advance
from autoisp_search.domain import (
    Failure,
    Inheritance,
    MeasuredCost,
    ProfilePrototype,
    PrototypeProfile,
    Quality,
    RunTrial,
    Search,
    SearchCompleted,
    SearchState,
    Trial,
    TrialResult,
    TrialState,
)
from autoisp_search.outcome import unreachable_macs
from autoisp_search.usecases.changes import Changes
from autoisp_search.usecases.live import LiveSearch, LiveSearches
from autoisp_search.usecases.ports import Clock, SearchStore, Transaction

SILENCE = timedelta(minutes=10)
"""A worker reports every second or two; one not heard for so long is gone."""


class ResultHandlers:
    """Moves searches on.

    Args:
        store: where searches are kept.
        live: the running searches in memory.
        changes: told of every change.
        clock: the time.
    """

    def __init__(self, store: SearchStore, live: LiveSearches, changes: Changes, clock: Clock) -> None:
        self._store = store
        self._live = live
        self._changes = changes
        self._clock = clock

    async def profiled(self, search_id: str, outcome: PrototypeProfile | Failure) -> None:
        """The prototype was measured, or could not be: start the first trials, or end."""
        async with self._changing(search_id) as transaction:
            search = await transaction.search(search_id)
            if search is None or search.state is not SearchState.PROFILING:
                return
            now, search = self._clock(), search.changed()
            failure = outcome if isinstance(outcome, Failure) else _unusable(search, outcome)
            if isinstance(outcome, PrototypeProfile) and failure is None:
                search = search.profiled(outcome, now)
                failure = unreachable_macs(search)
            if failure is not None:
                await transaction.save(search.failed(failure, now))
            else:
                await self._advance(transaction, search, await self._live.of(transaction, search))
        self._changes.notify(search_id)

    async def reported(self, search_id: str, trial_id: str, worker: str, progress: float, steps: int) -> None:
        """A trial runs. An old report of one that has ended, or of a search that has, changes nothing."""
        async with self._changing(search_id) as transaction:
            search = await transaction.search(search_id)
            trial = await transaction.trial(search_id, trial_id)
            if search is None or trial is None or search.state.final or trial.state.final:
                return
            before, search = search, search.changed()
            trial = trial.reported(worker, progress, steps, self._clock()).at(search.revision)
            await transaction.save_trial(trial)
            await transaction.save(search)
            self._live.note(before, trial, search.revision)
        self._changes.notify(search_id)

    async def completed(self, search_id: str, trial_id: str, result: TrialResult) -> None:
        """A trial has ended: record it once, and do what follows."""
        async with self._changing(search_id) as transaction:
            search = await transaction.search(search_id)
            trial = await transaction.trial(search_id, trial_id)
            if search is None or trial is None or search.state.final or trial.state.final:
                return
            live = await self._live.of(transaction, search)
            search = search.changed()
            search = replace(search, told=search.told + 1)
            trial = trial.completed(_checked(result), search.told, self._clock()).at(search.revision)
            await transaction.save_trial(trial)
            await asyncio.to_thread(live.ended, trial)
            await self._advance(transaction, search, live)
        self._changes.notify(search_id)

    async def resume(self, queue_since: datetime | None = None) -> int:
        """Go on with every unfinished search, as after a start; returns how many there are.

        What nobody is heard to work on is commanded once more, in case the broker lost its disk. Else
        JetStream knows the command's id and drops the copy, or the worker knows the result and only tells it.

        Args:
            queue_since: when the queue was made. What was heard of before that alone is lost with an earlier
                queue, so nobody's silence has to be waited for.
        """
        unfinished = await self._store.unfinished()
        for search_id in unfinished:
            async with self._changing(search_id) as transaction:
                search = await transaction.search(search_id)
                if search is None or search.state.final:
                    continue
                if search.state is SearchState.PROFILING:
                    await transaction.emit(ProfilePrototype(search))
                else:
                    live = await self._live.of(transaction, search)
                    await self._command_again(transaction, search, live, queue_since)
                    await self._advance(transaction, search.changed(), live)
            self._changes.notify(search_id)
        return len(unfinished)

    @asynccontextmanager
    async def _changing(self, search_id: str) -> AsyncIterator[Transaction]:
        """One change, written or forgotten as a whole: in the database and in memory."""
        with self._live.trusted(search_id):
            async with self._store.transaction() as transaction:
                yield transaction

    async def _command_again(
        self, transaction: Transaction, search: Search, live: LiveSearch, queue_since: datetime | None
    ) -> None:
        silent_since = self._clock() - SILENCE
        if queue_since is not None:
            silent_since = max(silent_since, queue_since)
        for trial in live.board.unfinished():
            if trial.heard is None or trial.heard < silent_since:
                await self._command(transaction, search, trial, live)

    async def _advance(self, transaction: Transaction, search: Search, live: LiveSearch) -> None:
        now = self._clock()
        # In a thread: whoever watches or asks should not wait until a strategy has made up its mind.
        decision = await asyncio.to_thread(advance, search, live.board, live.strategy, now)
        search = decision.search
        for trial in decision.start:
            await transaction.save_trial(trial)
            await self._command(transaction, search, trial, live)
        for trial in decision.stop:
            await transaction.save_trial(trial.cancelled(now).at(search.revision))
        await transaction.save(search)
        live.revision = search.revision
        if search.state is SearchState.SUCCEEDED:
            view, best = await transaction.view(search), live.board.get(search.best_trial)
            if best is not None:
                await transaction.emit(SearchCompleted(view, best))
        if search.state.final:
            self._live.drop(search.search_id)

    @staticmethod
    async def _command(transaction: Transaction, search: Search, trial: Trial, live: LiveSearch) -> None:
        parent = live.board.get(trial.parent)
        fidelity = search.rungs[trial.rung]
        if trial.seconds is not None:
            fidelity = replace(fidelity, steps=None, seconds=trial.seconds)
        checkpoint = parent.checkpoint if parent else None
        inheritance = await _inheritance(transaction, trial)
        await transaction.emit(RunTrial(search, trial, fidelity, checkpoint, inheritance))


async def _inheritance(transaction: Transaction, trial: Trial) -> Inheritance | None:
    if not trial.inherits_from:
        return None
    donor = await transaction.trial(*names.TRIAL.parse(trial.inherits_from, "trial.inherits_from"))
    if donor is None or donor.checkpoint is None:
        return None
    return Inheritance(donor.spec, donor.checkpoint)


def _checked(result: TrialResult) -> TrialResult:
    """A success without its figures or its network is none, a failure has a cause, no cost is nonsense."""
    if not _possible(result.train_seconds):
        result = replace(result, train_seconds=0.0)
    if result.cost and not _measured(result.cost) and result.state is not TrialState.SUCCEEDED:
        # What it would teach of this device would spoil every later prediction.
        result = replace(result, cost=None)
    if result.state is TrialState.FAILED and result.failure is None:
        return replace(result, failure=Failure("UNKNOWN", "the worker gave no cause; see its log"))
    if result.state is not TrialState.SUCCEEDED:
        return result
    missing = [name for name in ("quality", "cost", "onnx") if getattr(result, name) is None]
    if result.quality and not _judged(result.quality):
        missing.append("finite quality")
    if result.cost and not _measured(result.cost):
        missing.append("a possible cost")
    if not missing:
        return result
    failure = Failure("NO_METRICS", f"the worker reported success without {', '.join(missing)}; see its log")
    return replace(result, state=TrialState.FAILED, failure=failure, quality=None, cost=None)


def _measured(cost: MeasuredCost) -> bool:
    figures = (cost.macs_per_pixel or 0.0, cost.seconds_per_megapixel, cost.state_bytes_per_pixel)
    return all(map(_possible, figures))


def _judged(quality: Quality) -> bool:
    return math.isfinite(quality.psnr_db) and math.isfinite(quality.ssim)


def _possible(figure: float) -> bool:
    return math.isfinite(figure) and figure >= 0


def _unusable(search: Search, profile: PrototypeProfile) -> Failure | None:
    cost, quality = profile.cost, profile.quality
    if quality is not None and not _judged(quality):
        return Failure(
            "PROTOTYPE_UNMEASURED",
            f"the prototype's quality was measured as {quality.psnr_db:g} dB, so no network can be compared "
            "with it; check what it makes of the validation clips",
        )
    figure = cost.seconds_per_megapixel if cost.macs_per_pixel is None else cost.macs_per_pixel
    if _measured(cost) and (figure > 0 or search.settings.budget.reduction is None):
        return None
    counted = "unknown" if cost.macs_per_pixel is None else f"{cost.macs_per_pixel:g}"
    return Failure(
        "PROTOTYPE_UNMEASURED",
        f"the prototype's cost was measured as {counted} MAC per pixel and {cost.seconds_per_megapixel:g} "
        "seconds per megapixel, so no budget follows from it; check the "
        "prototype, or give search.budget.macs_per_pixel",
    )

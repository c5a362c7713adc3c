"""Hand-written fakes for the search service's use cases, and a worker that trains nothing."""

from __future__ import annotations

import copy
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError
from autoisp_core.spec import Spec, cost
from autoisp_search.domain import (
    Budget,
    MeasuredCost,
    Outgoing,
    ProfilePrototype,
    Prototype,
    PrototypeProfile,
    Quality,
    RunTrial,
    Search,
    SearchSettings,
    SearchView,
    Trial,
    TrialCounts,
    TrialResult,
    TrialState,
)
from autoisp_search.domain.dataset import DatasetInfo
from autoisp_search.plan import plan_of
from autoisp_search.strategies.latency import reference_seconds
from autoisp_search.usecases import Changes, LiveSearches, ResultHandlers, SearchDraft, Searches
from autoisp_search.wire.messages import sendable

START = datetime(2030, 1, 1, tzinfo=UTC)


def artifact(name: str) -> Artifact:
    """An artifact that only its name tells from others."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, 1)


class FakeClock:
    """Stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class FakeDatasets:
    """One dataset, ``datasets/d``."""

    def __init__(self, info: DatasetInfo | None = None, artifacts: Sequence[Artifact] = ()) -> None:
        self.info = info or DatasetInfo(artifact("manifest"), (40, 50), (10,), (20,))
        self.artifacts = artifacts

    async def find(self, name: str) -> DatasetInfo | None:
        return self.info if name == "datasets/d" else None

    async def has(self, artifact: Artifact) -> bool:
        return artifact in self.artifacts


class FakeStore:
    """Keeps everything in dictionaries; a failed transaction leaves no trace.

    Attributes:
        sent: messages that wait for the worker; the same one is sent once, as JetStream would see to.
    """

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.searches: dict[str, tuple[Search, str]] = {}
        self.rows: dict[tuple[str, str], Trial] = {}
        self.sent: list[Outgoing] = []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeStore]:
        before = copy.copy(self.searches), copy.copy(self.rows), list(self.sent), copy.copy(self.known)
        try:
            yield self
        except BaseException:
            self.searches, self.rows, self.sent, self.known = before
            raise

    async def insert(self, search: Search, fingerprint: str) -> None:
        taken = {known.request_id for known, _ in self.searches.values()} - {""}
        if search.search_id in self.searches or search.request_id in taken:
            raise AlreadyExistsError(search.name)
        self.searches[search.search_id] = (search, fingerprint)

    async def search(self, search_id: str) -> Search | None:
        found = self.searches.get(search_id)
        return found[0] if found else None

    async def save(self, search: Search) -> None:
        self.searches[search.search_id] = (search, self.searches[search.search_id][1])

    async def trials(self, search_id: str) -> list[Trial]:
        return [trial for (owner, _), trial in sorted(self.rows.items()) if owner == search_id]

    async def trial(self, search_id: str, trial_id: str) -> Trial | None:
        return self.rows.get((search_id, trial_id))

    async def save_trial(self, trial: Trial) -> None:
        self.rows[trial.search_id, trial.trial_id] = trial

    async def emit(self, message: Outgoing) -> None:
        event_id = sendable(message).event_id
        if event_id not in self.known:
            self.known.add(event_id)
            self.sent.append(message)

    async def view(self, search: Search) -> SearchView:
        trials = await self.trials(search.search_id)
        trained = sum(trial.rung == 0 and trial.state is not TrialState.PRUNED for trial in trials)
        states = Counter(trial.state for trial in trials)
        return SearchView(
            search, TrialCounts.of(states, search.planned_trials, search.rungs[0].trials, trained)
        )

    async def find(self, *, search_id: str = "", request_id: str = "") -> tuple[SearchView, str] | None:
        for search, fingerprint in self.searches.values():
            if search_id == search.search_id or (request_id and request_id == search.request_id):
                return await self.view(search), fingerprint
        return None

    async def page(self, after: str | None, limit: int) -> Sequence[SearchView]:
        ids = [search_id for search_id in sorted(self.searches) if search_id > (after or "")]
        return [await self.view(self.searches[search_id][0]) for search_id in ids[:limit]]

    async def trials_page(self, search_id: str, after: str | None, limit: int) -> Sequence[Trial]:
        return [t for t in await self.trials(search_id) if t.trial_id > (after or "")][:limit]

    async def changed(self, search_id: str, since: int) -> tuple[SearchView, Sequence[Trial]] | None:
        search = await self.search(search_id)
        if search is None:
            return None
        return await self.view(search), [t for t in await self.trials(search_id) if t.revision > since]

    async def unfinished(self) -> Sequence[str]:
        return [search_id for search_id, (search, _) in self.searches.items() if not search.state.final]


class Service:
    """The use cases over one store; make another one over the same store to restart the service."""

    def __init__(self, store: FakeStore, clock: FakeClock, datasets: FakeDatasets | None = None) -> None:
        self.store, self.clock, self.changes = store, clock, Changes()
        self.datasets = datasets or FakeDatasets()
        self.live = LiveSearches()
        self.searches = Searches(store, self.datasets, self.live, self.changes, clock)
        self.results = ResultHandlers(store, self.live, self.changes, clock)


OPAQUE = PrototypeProfile(MeasuredCost(None, 0, 0, 5.0), Quality(25.0, 0.7), 5, ("raw", "gains", "ccm"))
COUNTED = PrototypeProfile(MeasuredCost(355_440.0, 9, 9, 6.7), Quality(28.0, 0.8), 1, ("raw", "gains"))


def quality_of(spec: Spec) -> float:
    """A made-up, repeatable PSNR: more MAC help, the block decides the rest."""
    luck = int(hashlib.sha256(spec.to_json().encode()).hexdigest()[:6], 16) / 0xFFFFFF
    return 22 + min(4.0, cost(spec).macs_per_pixel / 1000) + 4 * luck


def seconds_of(spec: Spec) -> float:
    """A made-up latency in seconds per megapixel: slower than the reference, and full of surprises."""
    surprise = int(hashlib.sha256(spec.to_json().encode()).hexdigest()[6:12], 16) / 0xFFFFFF
    return reference_seconds(spec) * (1.3 + 0.3 * surprise)


class FakeWorker:
    """Answers the commands of a fake store, one after the other, in the clock's own time."""

    def __init__(
        self,
        store: FakeStore,
        clock: FakeClock,
        profile: PrototypeProfile = OPAQUE,
        judge: Callable[[RunTrial], TrialResult | None] = lambda command: None,
    ) -> None:
        self.store, self.clock, self.profile, self.judge = store, clock, profile, judge

    async def step(self, service: Service) -> bool:
        """Do one command; False when there is none."""
        if not self.store.sent:
            return False
        command = self.store.sent.pop(0)
        if isinstance(command, ProfilePrototype):
            await service.results.profiled(command.search.search_id, self.profile)
        elif isinstance(command, RunTrial):
            ids = command.search.search_id, command.trial.trial_id
            await service.results.reported(*ids, "w", 0.5, 1)
            await service.results.completed(*ids, self.judge(command) or self.train(command))
        return True

    def train(self, command: RunTrial) -> TrialResult:
        """What a worker would report, a second of overhead included."""
        spec = Spec.from_json(command.trial.spec)
        macs, seconds = cost(spec).macs_per_pixel, seconds_of(spec)
        begin = self.clock.now
        measured = MeasuredCost(macs, cost(spec).parameters, 1, seconds)
        limit = command.search.seconds_limit
        over = limit is not None and seconds > limit and not command.trial.parent
        trained = 0.0 if over else command.fidelity.seconds or 0.01 * (command.fidelity.steps or 0)
        self.clock.now += timedelta(seconds=1 + trained)
        if over:
            return TrialResult(
                TrialState.PRUNED, cost=measured, start_time=begin, end_time=self.clock.now, worker="w"
            )
        name = f"{command.search.search_id}/{command.trial.trial_id}"
        return TrialResult(
            TrialState.SUCCEEDED,
            cost=measured,
            quality=Quality(quality_of(spec) + command.trial.rung, 0.9),
            onnx=artifact(f"onnx {name}"),
            checkpoint=artifact(f"checkpoint {name}"),
            steps=10,
            train_seconds=trained,
            start_time=begin,
            end_time=self.clock.now,
            worker="w",
        )


def draft(**changes: object) -> SearchDraft:
    """A draft that is in order, but for ``changes``."""
    fine = SearchDraft(
        dataset="datasets/d",
        prototype=Prototype(builtin="classical"),
        budget=Budget(reduction=100),
        strategy="evolution",  # learns, and takes no time
    )
    return replace(fine, **changes)  # type: ignore[arg-type]


def running_search(**changes: object) -> Search:
    """A running search with an opaque prototype, but for ``changes`` of its settings."""
    settings = SearchSettings(
        dataset="datasets/d",
        prototype=Prototype(builtin="classical"),
        budget=Budget(reduction=100),
        model="models/s",
        strategy="evolution",
    )
    settings = replace(settings, **changes)  # type: ignore[arg-type]
    search = Search("s", settings, artifact("manifest"), plan_of(settings), not settings.rungs, START)
    return search.profiled(OPAQUE, START)


async def run_to_end(worker: FakeWorker, service: Service, most: int = 5000) -> None:
    """Let the worker answer until there is nothing to do."""
    for _ in range(most):
        if not await worker.step(service):
            return
    raise AssertionError("the search does not end")

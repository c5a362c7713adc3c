"""Creating, finding and cancelling searches."""

from __future__ import annotations

from datetime import datetime

from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from autoisp_core.ids import new_id
from autoisp_core.names import search_name, trial_name
from autoisp_core.pagination import Page, PageRequest

from autoisp_search.domain import ProfilePrototype, Search, SearchCancelled, SearchState, SearchView, Trial
from autoisp_search.plan import plan_of
from autoisp_search.usecases.changes import Changes
from autoisp_search.usecases.drafts import SearchDraft
from autoisp_search.usecases.live import LiveSearches
from autoisp_search.usecases.ports import Clock, Datasets, SearchStore, Transaction
from autoisp_search.usecases.validation import validate_search_id, validated
from autoisp_search.usecases.warm_start import check_warm_start

_MAX_REQUEST_ID = 128


class Searches:
    """The requests of users.

    Args:
        store: where searches are kept.
        datasets: where datasets are found.
        live: the running searches in memory.
        changes: told of every change.
        clock: the time.
    """

    def __init__(
        self, store: SearchStore, datasets: Datasets, live: LiveSearches, changes: Changes, clock: Clock
    ) -> None:
        self._store = store
        self._datasets = datasets
        self._live = live
        self._changes = changes
        self._clock = clock

    async def validate(self, draft: SearchDraft, search_id: str = "") -> Search:
        """The search that would be created, with every default; nothing is written.

        Raises:
            InvalidArgumentError, NotFoundError: as :meth:`create`.
        """
        if search_id:
            validate_search_id(search_id)
        return await self._new(draft, search_id or new_id(), "")

    async def create(self, draft: SearchDraft, search_id: str = "", request_id: str = "") -> SearchView:
        """Start a search. The same request again gives the same search.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: no such dataset or earlier search, or the prototype's bytes aren't there.
            AlreadyExistsError: the id or the request_id was used for another search.
        """
        if search_id:
            validate_search_id(search_id)
        if len(request_id) > _MAX_REQUEST_ID:
            raise InvalidArgumentError(
                "request_id", f"request_id may have at most {_MAX_REQUEST_ID} characters"
            )
        if known := await self._known(draft, search_id, request_id):
            return known
        search = await self._new(draft, search_id or new_id(), request_id)
        try:
            async with self._store.transaction() as transaction:
                await transaction.insert(search, draft.fingerprint())
                await transaction.emit(ProfilePrototype(search))
                view = await transaction.view(search)
        except AlreadyExistsError:
            # Somebody was faster; perhaps the same caller, repeating itself.
            if known := await self._known(draft, search_id, request_id):
                return known
            raise
        self._changes.notify(search.search_id)
        return view

    async def get(self, search_id: str) -> SearchView:
        """The search.

        Raises:
            NotFoundError: no such search.
        """
        found = await self._store.find(search_id=search_id)
        if found is None:
            raise NotFoundError(search_name(search_id))
        return found[0]

    async def page(self, request: PageRequest) -> Page[SearchView]:
        """Searches by id."""
        views = await self._store.page(request.after, request.size + 1)
        return request.page(views, lambda view: view.search.search_id)

    async def cancel(self, search_id: str) -> SearchView:
        """Stop a search and give up its trials; a cancelled one stays as it is.

        Raises:
            NotFoundError: no such search.
            FailedPreconditionError: it has ended otherwise.
        """
        async with self._store.transaction() as transaction:
            search = await transaction.search(search_id)
            if search is None:
                raise NotFoundError(search_name(search_id))
            if search.state is not SearchState.CANCELLED:
                search = await self._cancelled(transaction, search, self._clock())
            view = await transaction.view(search)
        self._live.drop(search_id)
        self._changes.notify(search_id)
        return view

    async def trial(self, search_id: str, trial_id: str) -> Trial:
        """One trial.

        Raises:
            NotFoundError: no such trial.
        """
        trial = await self._store.trial(search_id, trial_id)
        if trial is None:
            raise NotFoundError(trial_name(search_id, trial_id))
        return trial

    async def trials_page(self, search_id: str, request: PageRequest) -> Page[Trial]:
        """Trials of a search by rung and ordinal.

        Raises:
            NotFoundError: no such search.
        """
        await self.get(search_id)
        trials = await self._store.trials_page(search_id, request.after, request.size + 1)
        return request.page(trials, lambda trial: trial.trial_id)

    async def _known(self, draft: SearchDraft, search_id: str, request_id: str) -> SearchView | None:
        """The search that this very request created, or None if it created none."""
        for key, value in (("request_id", request_id), ("search_id", search_id)):
            found = await self._store.find(**{key: value}) if value else None
            if found is None:
                continue
            view, fingerprint = found
            same_id = search_id in ("", view.search.search_id)
            if fingerprint == draft.fingerprint() and same_id:
                return view
            raise AlreadyExistsError(
                view.search.name,
                f"{key} {value!r} was used for {view.search.name}, which asks for something else; choose "
                f"another {key}",
                metadata={"field": key},
            )
        return None

    async def _new(self, draft: SearchDraft, search_id: str, request_id: str) -> Search:
        settings, dataset = await validated(draft, search_id, self._datasets)
        await check_warm_start(settings, search_id, self._store)
        return Search(
            search_id,
            settings,
            dataset.manifest,
            rungs=plan_of(settings),
            adaptive=not settings.rungs and settings.max_duration_seconds is not None,
            create_time=self._clock(),
            request_id=request_id,
        )

    @staticmethod
    async def _cancelled(transaction: Transaction, search: Search, now: datetime) -> Search:
        search = search.changed().cancelled(now)
        for trial in await transaction.trials(search.search_id):
            if not trial.state.final:
                await transaction.save_trial(trial.cancelled(now).at(search.revision))
        await transaction.save(search)
        await transaction.emit(SearchCancelled(search))
        return search

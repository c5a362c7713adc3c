"""The repository: implements the ports of the use cases with SQLAlchemy."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from autoisp_core.errors import AlreadyExistsError
from autoisp_runtime.database import Database
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_search.domain import Outgoing, Search, SearchState, SearchView, Trial, TrialCounts, TrialState
from autoisp_search.store.documents import search_document, search_from, trial_document, trial_from
from autoisp_search.store.tables import searches, trials

Send = Callable[[AsyncSession, Outgoing], Awaitable[None]]
"""Writes a message into the session's transaction."""

# Ordinals have four digits or more, and r0-10000 comes after r0-9999.
_BY_RUNG_AND_ORDINAL = (trials.c.rung, func.length(trials.c.trial_id), trials.c.trial_id)
_UNFINISHED = tuple(state.value for state in SearchState if not state.final)


class SqlSearchStore:
    """Keeps searches and trials.

    Args:
        database: migrated.
        send: puts a message into the outbox.
    """

    def __init__(self, database: Database, send: Send) -> None:
        self._database = database
        self._send = send

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction]:
        """See :class:`autoisp_search.usecases.ports.SearchStore`."""
        async with self._database.transaction() as session:
            yield SqlTransaction(session, self._send)

    async def find(self, *, search_id: str = "", request_id: str = "") -> tuple[SearchView, str] | None:
        """See the port."""
        found = searches.c.search_id == search_id if search_id else searches.c.request_id == request_id
        async with self._database.read() as session:
            row = (
                await session.execute(select(searches.c.document, searches.c.fingerprint).where(found))
            ).first()
            if row is None:
                return None
            [view] = await _views(session, [search_from(row.document)])
        return view, row.fingerprint

    async def page(self, after: str | None, limit: int) -> Sequence[SearchView]:
        """See the port."""
        statement = select(searches.c.document).order_by(searches.c.search_id).limit(limit)
        if after is not None:
            statement = statement.where(searches.c.search_id > after)
        async with self._database.read() as session:
            documents = (await session.scalars(statement)).all()
            return await _views(session, [search_from(document) for document in documents])

    async def trial(self, search_id: str, trial_id: str) -> Trial | None:
        """See the port."""
        async with self._database.read() as session:
            return await _trial(session, search_id, trial_id)

    async def trials_page(self, search_id: str, after: str | None, limit: int) -> Sequence[Trial]:
        """See the port."""
        statement = _trials_of(search_id).limit(limit)
        if after is not None:
            rung = after.removeprefix("r").partition("-")[0]
            place = (int(rung) if rung.isdecimal() else 0, len(after), after)
            statement = statement.where(tuple_(*_BY_RUNG_AND_ORDINAL) > place)
        async with self._database.read() as session:
            return [trial_from(document) for document in await session.scalars(statement)]

    async def changed(self, search_id: str, since: int) -> tuple[SearchView, Sequence[Trial]] | None:
        """See the port. Trials may be newer than the search, never older: the next call repeats them."""
        async with self._database.read() as session:
            document = await session.scalar(
                select(searches.c.document).where(searches.c.search_id == search_id)
            )
            if document is None:
                return None
            search = search_from(document)
            if search.revision == since:
                return SearchView(search, await _counts(session, search)), ()
            found = await session.scalars(_trials_of(search_id).where(trials.c.revision > since))
            changed = [trial_from(document) for document in found]
            return SearchView(search, await _counts(session, search)), changed

    async def unfinished(self) -> Sequence[str]:
        """See the port."""
        statement = select(searches.c.search_id).where(searches.c.state.in_(_UNFINISHED))
        async with self._database.read() as session:
            return list(await session.scalars(statement.order_by(searches.c.search_id)))


@dataclass(frozen=True, slots=True)
class SqlTransaction:
    """See :class:`autoisp_search.usecases.ports.Transaction`."""

    session: AsyncSession
    send: Send

    async def insert(self, search: Search, fingerprint: str) -> None:
        """See the port."""
        values = _search_values(search) | {
            "search_id": search.search_id,
            "request_id": search.request_id or None,
            "fingerprint": fingerprint,
        }
        try:
            await self.session.execute(searches.insert().values(values))
        except IntegrityError as error:
            raise AlreadyExistsError(search.name) from error

    async def search(self, search_id: str) -> Search | None:
        """See the port. SQLite needs no row lock: the whole transaction has the file's."""
        statement = select(searches.c.document).where(searches.c.search_id == search_id).with_for_update()
        document = await self.session.scalar(statement)
        return None if document is None else search_from(document)

    async def save(self, search: Search) -> None:
        """See the port."""
        await self.session.execute(
            update(searches).where(searches.c.search_id == search.search_id).values(_search_values(search))
        )

    async def trials(self, search_id: str) -> list[Trial]:
        """See the port."""
        return [trial_from(document) for document in await self.session.scalars(_trials_of(search_id))]

    async def trial(self, search_id: str, trial_id: str) -> Trial | None:
        """See the port."""
        return await _trial(self.session, search_id, trial_id)

    async def save_trial(self, trial: Trial) -> None:
        """See the port."""
        key = (trials.c.search_id == trial.search_id) & (trials.c.trial_id == trial.trial_id)
        values = {
            "rung": trial.rung,
            "state": trial.state.value,
            "revision": trial.revision,
            "document": trial_document(trial),
        }
        known = await self.session.scalar(select(trials.c.trial_id).where(key))
        if known is None:
            row = values | {"search_id": trial.search_id, "trial_id": trial.trial_id}
            await self.session.execute(trials.insert().values(row))
        else:
            await self.session.execute(update(trials).where(key).values(values))

    async def view(self, search: Search) -> SearchView:
        """See the port."""
        return SearchView(search, await _counts(self.session, search))

    async def emit(self, message: Outgoing) -> None:
        """See the port."""
        await self.send(self.session, message)


def _search_values(search: Search) -> dict[str, Any]:
    return {
        "state": search.state.value,
        "revision": search.revision,
        "document": search_document(search),
    }


def _trials_of(search_id: str) -> Any:
    found = select(trials.c.document).where(trials.c.search_id == search_id)
    return found.order_by(*_BY_RUNG_AND_ORDINAL)


async def _trial(session: AsyncSession, search_id: str, trial_id: str) -> Trial | None:
    statement = select(trials.c.document).where(
        trials.c.search_id == search_id, trials.c.trial_id == trial_id
    )
    document = await session.scalar(statement)
    return None if document is None else trial_from(document)


async def _views(session: AsyncSession, found: list[Search]) -> list[SearchView]:
    return [SearchView(search, await _counts(session, search)) for search in found]


async def _counts(session: AsyncSession, search: Search) -> TrialCounts:
    statement = (
        select(trials.c.rung, trials.c.state, func.count())
        .where(trials.c.search_id == search.search_id)
        .group_by(trials.c.rung, trials.c.state)
    )
    states: Counter[TrialState] = Counter()
    trained = 0
    for rung, state, count in await session.execute(statement):
        states[TrialState(state)] += count
        trained += count if rung == 0 and state != TrialState.PRUNED.value else 0
    return TrialCounts.of(states, search.planned_trials, search.rungs[0].trials, trained)

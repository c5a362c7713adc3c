"""Following a search as it goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from autoisp_core.errors import NotFoundError, UnavailableError
from autoisp_core.names import search_name

from autoisp_search.domain import SearchView, Trial
from autoisp_search.usecases.changes import Changes
from autoisp_search.usecases.ports import SearchStore

_POLL_SECONDS = 2.0  # another replica's changes wake nobody here


async def watch(store: SearchStore, changes: Changes, search_id: str) -> AsyncIterator[SearchView | Trial]:
    """The search, its trials, then whatever changes; ends with the search in its final state.

    What changes several times while the caller is busy comes once, as it is then: a watcher holds a revision
    number and nothing else, however slow it is.

    Raises:
        NotFoundError: no such search.
        UnavailableError: this process stops; watch again, later or elsewhere.
    """
    seen, shown = 0, None
    with changes.listen(search_id) as changed:
        while True:
            changed.clear()
            found = await store.changed(search_id, seen)
            if found is None:
                raise NotFoundError(search_name(search_id))
            view, trials = found
            final = view.search.state.final
            if shown is None:
                yield view
                shown = view
            for trial in trials:
                yield trial
            if final or _differ(view, shown):
                yield view
                shown = view
            if final:
                return
            seen = view.search.revision
            if changes.closed:
                raise UnavailableError(f"the server stops; watch {view.search.name} again when it is back")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await changed.wait()


def _differ(view: SearchView, shown: SearchView) -> bool:
    # A trial's progress raises the search's revision; that alone is no news of the search.
    return replace(view, search=replace(view.search, revision=shown.search.revision)) != shown

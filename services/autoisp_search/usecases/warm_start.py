"""Which earlier searches a new one may learn from."""

from __future__ import annotations

from autoisp_core.errors import InvalidArgumentError, NotFoundError
from autoisp_core.names import search_name

from autoisp_search.domain import SearchSettings
from autoisp_search.usecases.ports import SearchStore


async def check_warm_start(settings: SearchSettings, search_id: str, store: SearchStore) -> None:
    """Check the searches to learn from: they are there, have ended, and their figures mean the same.

    Raises:
        NotFoundError: there is no such search.
        InvalidArgumentError: it still runs, so what is learned would depend on when; or its qualities were
            measured on other footage or noise.
    """
    for index, earlier in enumerate(settings.warm_start):
        field, name = f"search.warm_start[{index}]", search_name(earlier)
        if earlier == search_id:
            raise InvalidArgumentError(field, f"{name} can't learn from itself; leave it out")
        found = await store.find(search_id=earlier)
        if found is None:
            raise NotFoundError(
                name,
                f"{name} does not exist; list the searches to see what there is",
                metadata={"field": field},
            )
        other = found[0].search
        if not other.state.final:
            raise InvalidArgumentError(
                field,
                f"{name} is {other.state.value}; wait for its end, or cancel it, to learn from it",
            )
        ours, theirs = settings, other.settings
        for what, one, two in (
            ("dataset", ours.dataset, theirs.dataset),
            # Whether raw has a colour matrix is up to the prototype, which is not known yet.
            ("sensor", *((s.sensor.builtin, s.sensor.toml, s.sensor.test_noise) for s in (ours, theirs))),
        ):
            if one != two:
                raise InvalidArgumentError(
                    field,
                    f"{name} has another {what} than this search, so its qualities can't be compared; give "
                    "searches over the same footage and sensor",
                )

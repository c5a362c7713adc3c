"""The registry's versions as rollouts see them, and rollouts as versions see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.domain import ModelVersion
from autoisp_registry.rollouts.domain.resolving import Servable
from autoisp_registry.store import lock_model
from autoisp_registry.store.rows import ALL_VERSIONS, model_of, version_of
from autoisp_registry.tables import channels, models
from autoisp_registry.tables import versions as table


async def channels_serving(session: AsyncSession, model: str, number: int | None) -> list[str]:
    """Channels that serve a version of a locked model, or roll it out; any of its versions for None.

    See :class:`autoisp_registry.store.InUse`. A rollout that is halted counts: it may be resumed.
    """
    statement = select(channels.c.name).where(channels.c.model == model).order_by(channels.c.name)
    if number is None:
        used = or_(channels.c.version > 0, channels.c.rollout_version.is_not(None))
    else:
        used = or_(channels.c.version == number, channels.c.rollout_version == number)
    return list((await session.scalars(statement.where(used))).all())


async def lock_live_model(session: AsyncSession, model: str) -> bool:
    """Whether there is such a model, not deleted; nobody changes or deletes it until the transaction ends."""
    found = await lock_model(session, model)
    return found is not None and found.delete_time is None


async def read_servables(
    session: AsyncSession, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], Servable]:
    """Those of the versions (model, number) that exist and are not deleted."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for model, number in wanted:
        numbers[model].add(number)
    found = {}
    for model, of_model in numbers.items():
        row = (await session.execute(select(models).where(models.c.name == model))).one_or_none()
        if row is None or model_of(row).delete_time is not None:
            continue
        statement = ALL_VERSIONS.where(models.c.name == model, table.c.number.in_(sorted(of_model)))
        for version in map(version_of, (await session.execute(statement)).all()):
            if not version.deleted:
                found[model, version.number] = _servable(version)
    return found


def _servable(version: ModelVersion) -> Servable:
    formats = {form.format: form.artifact for form in version.formats if form.artifact is not None}
    return Servable(version.model, version.number, formats, version.signed_manifest)

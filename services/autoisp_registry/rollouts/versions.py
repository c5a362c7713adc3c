"""The registry's versions as rollouts see them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from autoisp.registry.v1 import registry_pb2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.rollouts.domain.resolving import DEFAULT_FORMAT, Servable
from autoisp_registry.tables import models
from autoisp_registry.tables import versions as table
from autoisp_registry.wire import artifact_from


async def lock_model(session: AsyncSession, model: str) -> bool:
    """Whether there is such a model, not deleted; nobody changes or deletes it until the transaction ends."""
    statement = select(models.c.body).where(models.c.name == model).with_for_update(read=True)
    body = await session.scalar(statement)
    return body is not None and not registry_pb2.Model.FromString(body).HasField("delete_time")


async def read_servables(
    session: AsyncSession, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], Servable]:
    """Those of the versions (model, number) that exist and are not deleted."""
    numbers: dict[str, set[int]] = defaultdict(set)
    for model, number in wanted:
        numbers[model].add(number)
    found = {}
    for model, of_model in numbers.items():
        statement = (
            select(table.c.number, table.c.body, models.c.body.label("model"))
            .join(models)
            .where(models.c.name == model, table.c.number.in_(sorted(of_model)))
        )
        for row in (await session.execute(statement)).all():
            version = registry_pb2.ModelVersion.FromString(row.body)
            deleted = registry_pb2.Model.FromString(row.model).HasField("delete_time")
            if not (deleted or version.HasField("delete_time")):
                found[model, row.number] = _servable(model, row.number, version)
    return found


def _servable(model: str, number: int, version: registry_pb2.ModelVersion) -> Servable:
    formats = {DEFAULT_FORMAT: artifact_from(version.onnx, "onnx")}
    for made in version.formats:
        if made.HasField("artifact"):
            formats[made.format] = artifact_from(made.artifact, "formats")
    manifest = (
        artifact_from(version.signed_manifest, "signed_manifest")
        if version.HasField("signed_manifest")
        else None
    )
    return Servable(model, number, formats, manifest)

"""Models and versions as rows, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError
from sqlalchemy import Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry import wire
from autoisp_registry.domain import Conversion, Model, ModelVersion, as_registered
from autoisp_registry.tables import models, versions

_MAX_NUMBER = 2**31 - 1  # of a 32-bit column

ALL_VERSIONS: Select[Any] = select(
    versions,
    models.c.name.label("model_name"),
    models.c.body.label("model_body"),
).join_from(versions, models)
"""Versions with their models, whose aliases are the versions' too."""


async def lock_model(session: AsyncSession, name: str) -> Model | None:
    """The model, locked until the end of the caller's transaction; None if there is none."""
    statement = select(models).where(models.c.name == name).with_for_update()
    row = (await session.execute(statement)).one_or_none()
    return model_of(row) if row else None


async def load_version(session: AsyncSession, model: str, number: int) -> ModelVersion | None:
    """One version, also if it is deleted; None if there is none."""
    statement = ALL_VERSIONS.where(models.c.name == model, versions.c.number == number)
    row = (await session.execute(statement)).one_or_none()
    return version_of(row) if row else None


def model_of(row: Row[Any]) -> Model:
    """The model of a row of ``models``."""
    model = wire.model_from(registry_pb2.Model.FromString(row.body), row.revision)
    history = {alias: tuple(numbers) for alias, numbers in row.history.items()}
    return replace(model, last_number=row.last_number, history=history)


def model_row(model: Model) -> dict[str, Any]:
    """What is written of a model."""
    return {
        "revision": model.revision,
        "body": wire.model_to(model).SerializeToString(),
        "last_number": model.last_number,
        "history": {alias: list(numbers) for alias, numbers in model.history.items() if numbers},
        "purge_time": model.purge_time,
    }


def version_of(row: Row[Any]) -> ModelVersion:
    """The version of a row of :data:`ALL_VERSIONS`."""
    version = wire.registered_from(registry_pb2.ModelVersion.FromString(row.body))
    if row.changeable is not None:
        version = wire.changeable_from(registry_pb2.ModelVersion.FromString(row.changeable), version)
    model = registry_pb2.Model.FromString(row.model_body)
    return replace(
        version,
        revision=row.revision,
        formats=version.formats or (as_registered(version.content),),
        conversion=_conversion(row.conversion, version.conversion),
        aliases=tuple(sorted(alias for alias, number in model.aliases.items() if number == row.number)),
    )


def new_version_row(version: ModelVersion) -> dict[str, Any]:
    """What is written of a version when it is registered."""
    return {
        "number": version.number,
        "body": wire.registered_to(version).SerializeToString(),
        "onnx_sha256": version.content.onnx.sha256,
        **changed_version_row(version),
    }


def changed_version_row(version: ModelVersion) -> dict[str, Any]:
    """What is written of a version when it changes."""
    conversion = version.conversion
    return {
        "revision": version.revision,
        "changeable": wire.changeable_to(version).SerializeToString(),
        "conversion": {
            "conversion_id": conversion.conversion_id,
            "attempt": conversion.attempt,
            "asked": conversion.asked.isoformat() if conversion.asked else "",
            "seed": conversion.seed,
            "frames_per_clip": conversion.frames_per_clip,
        },
        "purge_time": version.purge_time,
    }


def number_in(key: str) -> int:
    """The number in the key of a page token.

    Raises:
        InvalidArgumentError: whoever forges a token can put anything into it.
    """
    if not (key.isascii() and key.isdigit() and len(key) <= 18 and int(key) <= _MAX_NUMBER):
        raise InvalidArgumentError("page_token", "page_token is not one this list gave out; leave it empty")
    return int(key)


def _conversion(kept: Mapping[str, Any] | None, conversion: Conversion) -> Conversion:
    if not kept:
        return conversion
    return replace(
        conversion,
        conversion_id=kept["conversion_id"],
        attempt=kept["attempt"],
        asked=datetime.fromisoformat(kept["asked"]) if kept["asked"] else None,
        seed=kept["seed"],
        frames_per_clip=kept["frames_per_clip"],
    )

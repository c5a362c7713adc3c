"""Models and versions that are there, and what is said of those that are not."""

from __future__ import annotations

from autoisp_core.errors import AlreadyExistsError, NotFoundError

from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.ports import Transaction


async def lock_live(transaction: Transaction, name: str, field: str = "name") -> Model:
    """The model, locked until the end of the transaction.

    Raises:
        NotFoundError: there is none, or it is deleted.
    """
    return live_model(await transaction.lock_existing(name), name, field)


async def locked_version(transaction: Transaction, model: Model, number: int, field: str) -> ModelVersion:
    """A version of a locked model; ``number`` may be any.

    Raises:
        NotFoundError: there is none, or it is deleted.
    """
    name = f"{model.name}/versions/{number}"
    # A database knows no numbers of more bits than its column has.
    given = 1 <= number <= model.last_number
    version = await transaction.version(model.name, number) if given else None
    return live_version(version, model, name, field)


async def require_new_file(transaction: Transaction, version: ModelVersion) -> None:
    """Check that no other version of a locked model, not deleted, has the same ONNX file.

    Raises:
        AlreadyExistsError: one has.
    """
    sha256 = version.content.onnx.sha256
    number = await transaction.find_onnx(version.model, sha256)
    if number is not None:
        name = f"{version.model}/versions/{number}"
        raise AlreadyExistsError(
            name,
            f"{name} has the file {sha256[:12]}… already; use that version, or delete it first",
            reason="SAME_FILE",
        )


def live_model(model: Model | None, name: str, field: str = "name") -> Model:
    """The model.

    Raises:
        NotFoundError: there is none, or it is deleted.
    """
    if model is None:
        raise NotFoundError(name, metadata={"field": field})
    if model.deleted:
        raise NotFoundError(
            name,
            f"{name} is deleted; restore it with UndeleteModel until {_day(model)}",
            reason="DELETED",
            metadata={"field": field},
        )
    return model


def live_version(version: ModelVersion | None, model: Model, name: str, field: str = "name") -> ModelVersion:
    """The version that was asked for as ``name``.

    Raises:
        NotFoundError: there is none, or it is deleted.
    """
    if version is None:
        aliases = ", ".join(sorted(model.aliases)) or "none"
        raise NotFoundError(
            name,
            f"{model.name} has no version {name.rpartition('/')[2]!r}; it has 1 to {model.last_number}, and "
            f"the aliases {aliases}",
            metadata={"field": field},
        )
    if version.deleted:
        raise NotFoundError(
            version.name,
            f"{version.name} is deleted; restore it with UndeleteModelVersion until {_day(version)}",
            reason="DELETED",
            metadata={"field": field},
        )
    return version


def _day(resource: Model | ModelVersion) -> str:
    return f"{resource.purge_time:%Y-%m-%d %H:%M} UTC"

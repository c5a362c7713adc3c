"""Finding models and versions."""

from __future__ import annotations

from autoisp_core import names

from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.ports import Store
from autoisp_registry.usecases.locking import live_model, live_version


class Models:
    """The use cases that read. One instance serves all callers of a process.

    Args:
        store: keeps models.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get_model(self, name: str, field: str = "name") -> Model:
        """The model.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is none, or it is deleted.
        """
        names.MODEL.parse(name, field)
        return live_model(await self._store.model(name), name, field)

    async def get_version(self, name: str) -> ModelVersion:
        """The version ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias, or ``latest``.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is no such model or version, or it is deleted.
        """
        return (await self.get_both(name))[1]

    async def get_both(self, name: str) -> tuple[Model, ModelVersion]:
        """As :meth:`get_version`, with the model as it was read before the version."""
        model_id, asked = names.MODEL_VERSION.parse(name)
        model = live_model(await self._store.model(names.model_name(model_id)), names.model_name(model_id))
        number = model.resolve(asked)
        version = await self._store.version(model.name, number) if number is not None else None
        return model, live_version(version, model, name)

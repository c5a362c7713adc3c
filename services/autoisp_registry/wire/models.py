"""Models, both ways."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2

from autoisp_registry.domain import Model
from autoisp_registry.wire.times import optional_time, time_from, time_to


def model_to(model: Model) -> registry_pb2.Model:
    """Write a model."""
    return registry_pb2.Model(
        name=model.name,
        display_name=model.display_name,
        latest_version=model.latest_version,
        aliases=model.aliases,
        create_time=time_to(model.create_time),
        update_time=time_to(model.update_time),
        etag=model.etag,
        description=model.description,
        tags=model.tags,
        promotion_gate=model.promotion_gate,
        delete_time=time_to(model.delete_time) if model.delete_time else None,
        purge_time=time_to(model.purge_time) if model.purge_time else None,
    )


def model_from(message: registry_pb2.Model, revision: int) -> Model:
    """Read back what :func:`model_to` wrote, but for what only the registry keeps; for the database."""
    return Model(
        name=message.name,
        display_name=message.display_name,
        create_time=time_from(message.create_time),
        update_time=time_from(message.update_time),
        latest_version=message.latest_version,
        aliases=dict(message.aliases),
        revision=revision,
        last_number=message.latest_version,
        description=message.description,
        tags=dict(message.tags),
        promotion_gate=message.promotion_gate,
        delete_time=optional_time(message, "delete_time"),
        purge_time=optional_time(message, "purge_time"),
    )

"""The messages that both clients send to the registry."""

from __future__ import annotations

from collections.abc import Mapping

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp_core.errors import InvalidArgumentError

from autoisp_client.requests import request_id

EVERY_MODEL = "models/-"
"""The parent of every model's versions."""

Tags = Mapping[str, str | None]
"""Tags to set, by key; None removes one."""


def model_list(query: str, order_by: str, show_deleted: bool, page_size: int) -> wire.ListModelsRequest:
    """The message of ListModels."""
    return wire.ListModelsRequest(
        filter=query, order_by=order_by, show_deleted=show_deleted, page_size=page_size
    )


def version_list(
    parent: str, query: str, order_by: str, show_deleted: bool, page_size: int
) -> wire.ListModelVersionsRequest:
    """The message of ListModelVersions."""
    return wire.ListModelVersionsRequest(
        parent=parent, filter=query, order_by=order_by, show_deleted=show_deleted, page_size=page_size
    )


def model_change(
    name: str,
    display_name: str | None,
    description: str | None,
    tags: Tags,
    promotion_gate: str | None,
    etag: str,
) -> wire.UpdateModelRequest:
    """The message of UpdateModel: what is None stays."""
    request = wire.UpdateModelRequest(model=wire.Model(name=name, etag=etag))
    texts = {"display_name": display_name, "description": description, "promotion_gate": promotion_gate}
    for field, text in texts.items():
        if text is not None:
            setattr(request.model, field, text)
            request.update_mask.paths.append(field)
    _change_tags(request, request.model, tags)
    return request


def version_change(
    name: str, description: str | None, tags: Tags, etag: str
) -> wire.UpdateModelVersionRequest:
    """The message of UpdateModelVersion: what is None stays."""
    request = wire.UpdateModelVersionRequest(model_version=wire.ModelVersion(name=name, etag=etag))
    if description is not None:
        request.model_version.description = description
        request.update_mask.paths.append("description")
    _change_tags(request, request.model_version, tags)
    return request


def promotion(
    name: str,
    alias: str,
    gate: str,
    evaluation: str,
    override: bool,
    comment: str,
    etag: str,
    given_request_id: str,
    validate_only: bool,
) -> wire.PromoteRequest:
    """The message of Promote."""
    return wire.PromoteRequest(
        name=name,
        alias=alias,
        gate=gate,
        evaluation=evaluation,
        override=override,
        comment=comment,
        etag=etag,
        request_id=request_id(given_request_id),
        validate_only=validate_only,
    )


def way_back(model: str, alias: str, comment: str, etag: str, given_request_id: str) -> wire.RollbackRequest:
    """The message of Rollback."""
    return wire.RollbackRequest(
        model=model, alias=alias, comment=comment, etag=etag, request_id=request_id(given_request_id)
    )


def audit_list(resource: str, newest_first: bool, page_size: int) -> wire.ListAuditEntriesRequest:
    """The message of ListAuditEntries."""
    return wire.ListAuditEntriesRequest(resource=resource, descending=newest_first, page_size=page_size)


def _change_tags(
    request: wire.UpdateModelRequest | wire.UpdateModelVersionRequest,
    target: wire.Model | wire.ModelVersion,
    tags: Tags,
) -> None:
    for key, value in tags.items():
        if value is not None:
            target.tags[key] = value
        request.update_mask.paths.append(f"tags.{key}")
    if not request.update_mask.paths:
        # Without a mask the service would take the empty fields for what is to be changed.
        raise InvalidArgumentError("update_mask", "nothing is to be changed; name a field or a tag")

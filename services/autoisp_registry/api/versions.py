"""Versions: registering, finding, changing, deleting."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.actor import actor_of

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area
from autoisp_registry.filters import Listing
from autoisp_registry.usecases import NewVersion, Wanted
from autoisp_registry.usecases.finding import listed_model


class VersionsArea(Area):
    """RPCs of versions."""

    async def RegisterModelVersion(  # noqa: N802 - gRPC's name
        self, request: registry_pb2.RegisterModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Register a network that was made elsewhere."""
        message = request.model_version
        new = NewVersion(wire.content_from(message, "model_version"), message.description, dict(message.tags))
        version = await self._use_cases.registering.register(
            request.parent, new, request.request_id, actor_of(context)
        )
        return wire.version_to(version)

    async def GetModelVersion(  # noqa: N802
        self, request: registry_pb2.GetModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """A version by number, by alias, or the latest."""
        return wire.version_to(await self._use_cases.models.get_version(request.name))

    async def ListModelVersions(  # noqa: N802
        self, request: registry_pb2.ListModelVersionsRequest, context: Any
    ) -> registry_pb2.ListModelVersionsResponse:
        """A page of versions of one model or of all, by filter and order."""
        listing = Listing.of_versions(
            listed_model(request.parent),
            request.page_size,
            request.page_token,
            request.filter,
            request.order_by,
            show_deleted=request.show_deleted,
        )
        page = await self._use_cases.finding.list_versions(listing)
        return registry_pb2.ListModelVersionsResponse(
            model_versions=[wire.version_to(version) for version in page.items],
            next_page_token=page.next_page_token,
        )

    async def UpdateModelVersion(  # noqa: N802
        self, request: registry_pb2.UpdateModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Change what may change."""
        message = request.model_version
        wanted = Wanted(message.name, message.etag, description=message.description, tags=dict(message.tags))
        mask = list(request.update_mask.paths)
        return wire.version_to(await self._use_cases.editing.update_version(wanted, mask, actor_of(context)))

    async def DeleteModelVersion(  # noqa: N802
        self, request: registry_pb2.DeleteModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Hide a version until it is purged or restored."""
        deleting = self._use_cases.deleting
        return wire.version_to(await deleting.delete_version(request.name, request.etag, actor_of(context)))

    async def UndeleteModelVersion(  # noqa: N802
        self, request: registry_pb2.UndeleteModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Restore a deleted version."""
        deleting = self._use_cases.deleting
        return wire.version_to(await deleting.undelete_version(request.name, actor_of(context)))

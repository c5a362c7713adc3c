"""Versions: registering, finding, changing, deleting."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import UnimplementedError

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area


class VersionsArea(Area):
    """RPCs of versions."""

    async def RegisterModelVersion(  # noqa: N802
        self, request: registry_pb2.RegisterModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Register a network that was made elsewhere."""
        version = await self._use_cases.models.register(
            request.parent, wire.content_from(request.model_version, "model_version"), request.request_id
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
        """A page of a model's versions, by number."""
        models = self._use_cases.models
        page = await models.list_versions(request.parent, request.page_size, request.page_token)
        return registry_pb2.ListModelVersionsResponse(
            model_versions=[wire.version_to(version) for version in page.items],
            next_page_token=page.next_page_token,
        )

    async def UpdateModelVersion(  # noqa: N802
        self, request: registry_pb2.UpdateModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Change what may change."""
        raise UnimplementedError("UpdateModelVersion is not offered yet")

    async def DeleteModelVersion(  # noqa: N802
        self, request: registry_pb2.DeleteModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Hide a version until it is purged or restored."""
        raise UnimplementedError("DeleteModelVersion is not offered yet")

    async def UndeleteModelVersion(  # noqa: N802
        self, request: registry_pb2.UndeleteModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Restore a deleted version."""
        raise UnimplementedError("UndeleteModelVersion is not offered yet")

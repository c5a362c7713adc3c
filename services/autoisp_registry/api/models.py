"""Models: finding, changing, deleting."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import UnimplementedError

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area


class ModelsArea(Area):
    """RPCs of models."""

    async def GetModel(  # noqa: N802
        self, request: registry_pb2.GetModelRequest, context: Any
    ) -> registry_pb2.Model:
        """One model with its aliases."""
        return wire.model_to(await self._use_cases.models.get_model(request.name))

    async def ListModels(  # noqa: N802
        self, request: registry_pb2.ListModelsRequest, context: Any
    ) -> registry_pb2.ListModelsResponse:
        """A page of models, oldest first."""
        page = await self._use_cases.models.list_models(request.page_size, request.page_token)
        return registry_pb2.ListModelsResponse(
            models=[wire.model_to(model) for model in page.items], next_page_token=page.next_page_token
        )

    async def UpdateModel(  # noqa: N802
        self, request: registry_pb2.UpdateModelRequest, context: Any
    ) -> registry_pb2.Model:
        """Change what may change."""
        raise UnimplementedError("UpdateModel is not offered yet")

    async def DeleteModel(  # noqa: N802
        self, request: registry_pb2.DeleteModelRequest, context: Any
    ) -> registry_pb2.Model:
        """Hide a model until it is purged or restored."""
        raise UnimplementedError("DeleteModel is not offered yet")

    async def UndeleteModel(  # noqa: N802
        self, request: registry_pb2.UndeleteModelRequest, context: Any
    ) -> registry_pb2.Model:
        """Restore a deleted model."""
        raise UnimplementedError("UndeleteModel is not offered yet")

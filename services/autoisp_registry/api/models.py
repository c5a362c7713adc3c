"""Models: finding, changing, deleting."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.actor import actor_of

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area
from autoisp_registry.filters import Listing
from autoisp_registry.usecases import Wanted


class ModelsArea(Area):
    """RPCs of models."""

    async def GetModel(  # noqa: N802 - gRPC's name
        self, request: registry_pb2.GetModelRequest, context: Any
    ) -> registry_pb2.Model:
        """One model with its aliases."""
        return wire.model_to(await self._use_cases.models.get_model(request.name))

    async def ListModels(  # noqa: N802
        self, request: registry_pb2.ListModelsRequest, context: Any
    ) -> registry_pb2.ListModelsResponse:
        """A page of models, by filter and order."""
        listing = Listing.of_models(
            request.page_size,
            request.page_token,
            request.filter,
            request.order_by,
            show_deleted=request.show_deleted,
        )
        page = await self._use_cases.finding.list_models(listing)
        return registry_pb2.ListModelsResponse(
            models=[wire.model_to(model) for model in page.items], next_page_token=page.next_page_token
        )

    async def UpdateModel(  # noqa: N802
        self, request: registry_pb2.UpdateModelRequest, context: Any
    ) -> registry_pb2.Model:
        """Change what may change."""
        message = request.model
        wanted = Wanted(
            message.name,
            message.etag,
            message.display_name,
            message.description,
            dict(message.tags),
            message.promotion_gate,
        )
        mask = list(request.update_mask.paths)
        return wire.model_to(await self._use_cases.editing.update_model(wanted, mask, actor_of(context)))

    async def DeleteModel(  # noqa: N802
        self, request: registry_pb2.DeleteModelRequest, context: Any
    ) -> registry_pb2.Model:
        """Hide a model until it is purged or restored."""
        deleting = self._use_cases.deleting
        return wire.model_to(await deleting.delete_model(request.name, request.etag, actor_of(context)))

    async def UndeleteModel(  # noqa: N802
        self, request: registry_pb2.UndeleteModelRequest, context: Any
    ) -> registry_pb2.Model:
        """Restore a deleted model."""
        return wire.model_to(await self._use_cases.deleting.undelete_model(request.name, actor_of(context)))

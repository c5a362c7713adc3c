"""Aliases, and what moves them."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import UnimplementedError

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area


class PromotionArea(Area):
    """RPCs of aliases."""

    async def SetAlias(  # noqa: N802
        self, request: registry_pb2.SetAliasRequest, context: Any
    ) -> registry_pb2.Model:
        """Point an alias at a version."""
        return wire.model_to(
            await self._use_cases.models.set_alias(
                request.model, request.alias, request.version, request.etag
            )
        )

    async def DeleteAlias(  # noqa: N802
        self, request: registry_pb2.DeleteAliasRequest, context: Any
    ) -> registry_pb2.Model:
        """Take an alias away."""
        raise UnimplementedError("DeleteAlias is not offered yet")

    async def Promote(  # noqa: N802
        self, request: registry_pb2.PromoteRequest, context: Any
    ) -> registry_pb2.PromoteResponse:
        """Point an alias at a version whose evidence passes the gate."""
        raise UnimplementedError("Promote is not offered yet")

    async def Rollback(  # noqa: N802
        self, request: registry_pb2.RollbackRequest, context: Any
    ) -> registry_pb2.RollbackResponse:
        """Point an alias at the version before."""
        raise UnimplementedError("Rollback is not offered yet")

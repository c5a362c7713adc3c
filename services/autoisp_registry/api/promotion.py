"""Aliases, and what moves them."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.actor import actor_of

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area
from autoisp_registry.audit.wire import entry_to
from autoisp_registry.domain import CHAMPION
from autoisp_registry.usecases import Promote, Rollback


class PromotionArea(Area):
    """RPCs of aliases."""

    async def SetAlias(  # noqa: N802 - gRPC's name
        self, request: registry_pb2.SetAliasRequest, context: Any
    ) -> registry_pb2.Model:
        """Point an alias at a version."""
        model = await self._use_cases.aliases.set_alias(
            request.model, request.alias, request.version, request.etag, actor_of(context)
        )
        return wire.model_to(model)

    async def DeleteAlias(  # noqa: N802
        self, request: registry_pb2.DeleteAliasRequest, context: Any
    ) -> registry_pb2.Model:
        """Take an alias away."""
        model = await self._use_cases.aliases.delete_alias(
            request.model, request.alias, request.etag, actor_of(context)
        )
        return wire.model_to(model)

    async def Promote(  # noqa: N802
        self, request: registry_pb2.PromoteRequest, context: Any
    ) -> registry_pb2.PromoteResponse:
        """Point an alias at a version whose evidence passes the gate."""
        wanted = Promote(
            request.name,
            request.alias or CHAMPION,
            request.gate,
            request.evaluation,
            request.override,
            request.comment,
            request.etag,
            request.request_id,
            request.validate_only,
        )
        promoted = await self._use_cases.promotion.promote(wanted, actor_of(context))
        return registry_pb2.PromoteResponse(
            model=wire.model_to(promoted.model),
            gate=wire.gate_to(promoted.gate),
            audit_entry=entry_to(promoted.entry) if promoted.entry else None,
        )

    async def Rollback(  # noqa: N802
        self, request: registry_pb2.RollbackRequest, context: Any
    ) -> registry_pb2.RollbackResponse:
        """Point an alias at the version before."""
        wanted = Rollback(
            request.model, request.alias or CHAMPION, request.comment, request.etag, request.request_id
        )
        model, entry = await self._use_cases.rolling_back.roll_back(wanted, actor_of(context))
        return registry_pb2.RollbackResponse(model=wire.model_to(model), audit_entry=entry_to(entry))

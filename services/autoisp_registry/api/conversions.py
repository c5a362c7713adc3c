"""Making edge formats."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.actor import actor_of

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area


class ConversionsArea(Area):
    """RPCs of edge formats."""

    async def ConvertModelVersion(  # noqa: N802 - gRPC's name
        self, request: registry_pb2.ConvertModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Make the edge formats again."""
        version = await self._use_cases.conversions.ask(
            request.name, tuple(request.formats), request.dataset, actor_of(context)
        )
        return wire.version_to(version)

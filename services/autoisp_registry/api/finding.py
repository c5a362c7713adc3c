"""Watching models, and where versions came from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import UnimplementedError

from autoisp_registry.api.use_cases import Area


class FindingArea(Area):
    """RPCs for those who follow and read."""

    async def WatchModels(  # noqa: N802
        self, request: registry_pb2.WatchModelsRequest, context: Any
    ) -> AsyncIterator[registry_pb2.WatchModelsResponse]:
        """A snapshot, then changes."""
        raise UnimplementedError("WatchModels is not offered yet")
        yield registry_pb2.WatchModelsResponse()

    async def GetLineage(  # noqa: N802
        self, request: registry_pb2.GetLineageRequest, context: Any
    ) -> registry_pb2.LineageGraph:
        """Where a version came from."""
        raise UnimplementedError("GetLineage is not offered yet")

    async def GetModelCard(  # noqa: N802
        self, request: registry_pb2.GetModelCardRequest, context: Any
    ) -> registry_pb2.ModelCard:
        """A version for people."""
        raise UnimplementedError("GetModelCard is not offered yet")

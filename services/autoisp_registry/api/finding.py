"""Watching models, and where versions came from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.registry.v1 import registry_pb2

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area
from autoisp_registry.audit.wire import entry_to
from autoisp_registry.domain import Model
from autoisp_registry.lineage.wire import graph_to
from autoisp_registry.usecases.watching import Change, Synced


class FindingArea(Area):
    """RPCs for those who follow and read."""

    async def WatchModels(  # noqa: N802
        self, request: registry_pb2.WatchModelsRequest, context: Any
    ) -> AsyncIterator[registry_pb2.WatchModelsResponse]:
        """A snapshot, then changes."""
        async for item in self._use_cases.watching.watch(request.model, request.after_sequence):
            yield _watched_to(item)

    async def GetLineage(  # noqa: N802
        self, request: registry_pb2.GetLineageRequest, context: Any
    ) -> registry_pb2.LineageGraph:
        """Where a version came from."""
        return graph_to(await self._use_cases.describing.lineage(request.name))

    async def GetModelCard(  # noqa: N802
        self, request: registry_pb2.GetModelCardRequest, context: Any
    ) -> registry_pb2.ModelCard:
        """A version for people."""
        name, markdown = await self._use_cases.describing.card(request.name)
        return registry_pb2.ModelCard(name=name, markdown=markdown)


def _watched_to(item: Model | Synced | Change) -> registry_pb2.WatchModelsResponse:
    match item:
        case Model():
            return registry_pb2.WatchModelsResponse(model=wire.model_to(item))
        case Synced(sequence=sequence):
            return registry_pb2.WatchModelsResponse(synced_sequence=sequence)
        case Change(entry=entry, model=model, version=version):
            change = registry_pb2.WatchModelsResponse.Change(
                entry=entry_to(entry),
                model=wire.model_to(model) if model else None,
                model_version=wire.version_to(version) if version else None,
            )
            return registry_pb2.WatchModelsResponse(change=change)

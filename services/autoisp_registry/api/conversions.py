"""Making edge formats."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import UnimplementedError

from autoisp_registry.api.use_cases import Area


class ConversionsArea(Area):
    """RPCs of edge formats."""

    async def ConvertModelVersion(  # noqa: N802
        self, request: registry_pb2.ConvertModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Make the edge formats again."""
        raise UnimplementedError("ConvertModelVersion is not offered yet")

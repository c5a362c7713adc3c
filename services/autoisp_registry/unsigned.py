"""For registries without a key."""

from __future__ import annotations

from autoisp_core.artifact import Artifact

from autoisp_registry.domain import ModelVersion


class Unsigned:
    """Signs nothing."""

    async def sign(self, version: ModelVersion) -> Artifact | None:
        """See :class:`autoisp_registry.ports.Signer`."""
        return None

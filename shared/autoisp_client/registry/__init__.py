"""What the clients offer about the registry: models, versions, promotion, lineage and the log."""

from autoisp_client.registry.models import AsyncModelCalls, ModelCalls
from autoisp_client.registry.promotion import AsyncPromotionCalls, PromotionCalls
from autoisp_client.registry.provenance import AsyncProvenanceCalls, ProvenanceCalls
from autoisp_client.registry.versions import AsyncVersionCalls, VersionCalls
from autoisp_client.registry.watching import AsyncWatchingCalls, WatchingCalls


class RegistryCalls(ModelCalls, VersionCalls, PromotionCalls, WatchingCalls, ProvenanceCalls):
    """All that the blocking client offers about the registry, but for artifacts."""


class AsyncRegistryCalls(
    AsyncModelCalls, AsyncVersionCalls, AsyncPromotionCalls, AsyncWatchingCalls, AsyncProvenanceCalls
):
    """All that the asyncio client offers about the registry, but for artifacts."""


__all__ = ["AsyncRegistryCalls", "RegistryCalls"]

"""gRPC: decode, call the use case, encode; one module per area of the interface."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_registry.api.audit import AuditArea
from autoisp_registry.api.conversions import ConversionsArea
from autoisp_registry.api.finding import FindingArea
from autoisp_registry.api.models import ModelsArea
from autoisp_registry.api.promotion import PromotionArea
from autoisp_registry.api.transfers import TransfersArea
from autoisp_registry.api.use_cases import UseCases
from autoisp_registry.api.versions import VersionsArea

__all__ = ["RegistryServicer", "UseCases"]


class RegistryServicer(
    ModelsArea,
    VersionsArea,
    PromotionArea,
    ConversionsArea,
    AuditArea,
    FindingArea,
    TransfersArea,
    registry_pb2_grpc.RegistryServiceServicer,
):
    """``autoisp.registry.v1.RegistryService``; errors are translated by the server's interceptor."""

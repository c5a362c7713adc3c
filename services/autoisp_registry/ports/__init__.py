"""What the use cases need of the world; adapters implement these, tests pass fakes."""

from autoisp_registry.ports.files import Artifacts, Datasets, Publisher
from autoisp_registry.ports.judging import GraphChecker, JudgedEvaluation, Records, Signer
from autoisp_registry.ports.messages import (
    ConvertVersion,
    Message,
    ModelChanged,
    VersionPromoted,
    VersionRegistered,
)
from autoisp_registry.ports.storing import AuditLog, AuditState, Store, Transaction

__all__ = [
    "Artifacts",
    "AuditLog",
    "AuditState",
    "ConvertVersion",
    "Datasets",
    "GraphChecker",
    "JudgedEvaluation",
    "Message",
    "ModelChanged",
    "Publisher",
    "Records",
    "Signer",
    "Store",
    "Transaction",
    "VersionPromoted",
    "VersionRegistered",
]

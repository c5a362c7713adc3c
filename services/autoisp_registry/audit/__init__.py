"""The audit log: who changed what, when, and on what evidence; rows are added, never changed."""

from autoisp_registry.audit.domain import FIRST_SHA256, REGISTRY, AuditDraft, AuditEntry
from autoisp_registry.audit.store import append, find_key, head, verify

__all__ = ["FIRST_SHA256", "REGISTRY", "AuditDraft", "AuditEntry", "append", "find_key", "head", "verify"]

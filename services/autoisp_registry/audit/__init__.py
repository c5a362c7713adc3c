"""The audit log: who changed what, when, and on what evidence; rows are added, never changed."""

from autoisp_registry.audit.domain import FIRST_SHA256, AuditDraft, AuditEntry
from autoisp_registry.audit.store import append, find_key, verify

__all__ = ["FIRST_SHA256", "AuditDraft", "AuditEntry", "append", "find_key", "verify"]

"""Between entries of the audit log and their messages."""

from __future__ import annotations

from datetime import UTC

from autoisp.registry.v1 import registry_pb2

from autoisp_registry.audit.domain import AuditDraft, AuditEntry


def entry_to(entry: AuditEntry) -> registry_pb2.AuditEntry:
    """Write an entry."""
    draft = entry.draft
    message = registry_pb2.AuditEntry(
        sequence=entry.sequence,
        actor=draft.actor,
        action=draft.action,
        resource=draft.resource,
        refused=draft.refused,
        summary=draft.summary,
        details=draft.details,
        evaluation=draft.evaluation,
        evidence_sha256=draft.evidence_sha256,
        checks=draft.checks,
        comment=draft.comment,
        request_id=draft.request_id,
        previous_sha256=entry.previous_sha256,
        sha256=entry.sha256,
    )
    message.time.FromDatetime(entry.time)
    return message


def entry_from(message: registry_pb2.AuditEntry) -> AuditEntry:
    """Read back what :func:`entry_to` wrote."""
    return AuditEntry(
        message.sequence,
        message.time.ToDatetime(UTC),
        AuditDraft(
            actor=message.actor,
            action=message.action,
            resource=message.resource,
            summary=message.summary,
            details=dict(message.details),
            evaluation=message.evaluation,
            evidence_sha256=message.evidence_sha256,
            checks=tuple(message.checks),
            comment=message.comment,
            request_id=message.request_id,
            refused=message.refused,
        ),
        message.previous_sha256,
        message.sha256,
    )

"""Entries of the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

FIRST_SHA256 = "0" * 64
"""What the first entry says of the one before."""

REGISTRY = "registry"
"""The actor of what the registry does by itself."""


@dataclass(frozen=True)
class AuditDraft:
    """A change, or one that was refused, before it has its place in the log.

    Attributes:
        actor: who asked; :data:`REGISTRY` for what the registry does by itself.
        action: such as ``version.promote``.
        resource: the name of what changed.
        summary: for people.
        details: for programs.
        evaluation, evidence_sha256, checks: the evidence, and what the gate said of it.
        refused: whether nothing changed.
    """

    actor: str
    action: str
    resource: str
    summary: str
    details: Mapping[str, str] = field(default_factory=dict)
    evaluation: str = ""
    evidence_sha256: str = ""
    checks: tuple[str, ...] = ()
    comment: str = ""
    request_id: str = ""
    refused: bool = False

    @property
    def key(self) -> str | None:
        """What makes a repeated request find its entry: its action and request_id.

        None without one, and for what was refused: it changed nothing, so it may be asked for again.
        """
        return f"{self.action}/{self.request_id}" if self.request_id and not self.refused else None


@dataclass(frozen=True)
class AuditEntry:
    """A line of the log.

    Attributes:
        sequence: 1, 2, … without gaps, in the order of commits.
        previous_sha256: of the entry before; :data:`FIRST_SHA256` of the first one.
        sha256: of this entry, with ``previous_sha256``, serialised without this field.
    """

    sequence: int
    time: datetime
    draft: AuditDraft
    previous_sha256: str
    sha256: str

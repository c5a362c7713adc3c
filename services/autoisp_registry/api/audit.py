"""The audit log."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import UnimplementedError

from autoisp_registry.api.use_cases import Area


class AuditArea(Area):
    """RPCs of the audit log."""

    async def ListAuditEntries(  # noqa: N802
        self, request: registry_pb2.ListAuditEntriesRequest, context: Any
    ) -> registry_pb2.ListAuditEntriesResponse:
        """A page of the log."""
        raise UnimplementedError("ListAuditEntries is not offered yet")

    async def VerifyAuditLog(  # noqa: N802
        self, request: registry_pb2.VerifyAuditLogRequest, context: Any
    ) -> registry_pb2.VerifyAuditLogResponse:
        """Whether the log is intact."""
        raise UnimplementedError("VerifyAuditLog is not offered yet")

"""The audit log."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import registry_pb2

from autoisp_registry.api.use_cases import Area
from autoisp_registry.audit.wire import entry_to


class AuditArea(Area):
    """RPCs of the audit log."""

    async def ListAuditEntries(  # noqa: N802 - gRPC's name
        self, request: registry_pb2.ListAuditEntriesRequest, context: Any
    ) -> registry_pb2.ListAuditEntriesResponse:
        """A page of the log."""
        page = await self._use_cases.auditing.list_entries(
            request.page_size, request.page_token, request.resource, descending=request.descending
        )
        return registry_pb2.ListAuditEntriesResponse(
            audit_entries=[entry_to(entry) for entry in page.items], next_page_token=page.next_page_token
        )

    async def VerifyAuditLog(  # noqa: N802
        self, request: registry_pb2.VerifyAuditLogRequest, context: Any
    ) -> registry_pb2.VerifyAuditLogResponse:
        """Whether the log is intact."""
        state = await self._use_cases.auditing.verify()
        return registry_pb2.VerifyAuditLogResponse(
            intact=state.broken_sequence == 0,
            entries=state.entries,
            head_sha256=state.head_sha256,
            broken_sequence=state.broken_sequence,
            problem=state.problem,
        )

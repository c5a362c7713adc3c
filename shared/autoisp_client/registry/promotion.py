"""What the clients offer about promotion, and about the log that keeps who did what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.registry import messages


class PromotionCalls:
    """The part of :class:`autoisp_client.Client` about promotion and the audit log."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

    def promote(
        self,
        name: str,
        *,
        alias: str = "",
        gate: str = "",
        evaluation: str = "",
        override: bool = False,
        comment: str = "",
        etag: str = "",
        request_id: str = "",
        validate_only: bool = False,
    ) -> wire.PromoteResponse:
        """Points an alias, by default ``champion``, at a version whose evidence passes the gate.

        Args:
            name: ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``.
            gate: TOML; empty: the model's own, else what the version's own gate said.
            evaluation: ``evaluations/{e}``, the evidence; empty: the version's newest.
            override: whatever the gate says; needs a comment.
            comment: why, for the audit log.
            etag: of the model; if given, only if nobody was faster.
            validate_only: check the gate, change nothing.

        Raises:
            FailedPreconditionError: reason ``GATE_FAILED`` with the checks, or ``NO_EVIDENCE``.
            AbortedError: somebody else changed the model meanwhile; look at it again.
        """
        request = messages.promotion(
            name, alias, gate, evaluation, override, comment, etag, request_id, validate_only
        )
        return self._registry.unary(self._registry_stub.Promote, request)

    def rollback(
        self, model: str, *, alias: str = "", comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.RollbackResponse:
        """Points an alias, by default ``champion``, at the version that it pointed at before.

        Raises:
            FailedPreconditionError: there is none.
        """
        request = messages.way_back(model, alias, comment, etag, request_id)
        return self._registry.unary(self._registry_stub.Rollback, request)

    def list_audit_entries(
        self, resource: str = "", *, newest_first: bool = False, page_size: int = 0
    ) -> Iterator[wire.AuditEntry]:
        """All that changed models, versions and channels.

        Args:
            resource: only of this model with its versions, this version, or this channel; empty: of all.
        """
        request = messages.audit_list(resource, newest_first, page_size)
        call = self._registry_stub.ListAuditEntries
        return self._registry.pages(call, request, lambda page: page.audit_entries)

    def verify_audit_log(self) -> wire.VerifyAuditLogResponse:
        """Lets the registry recompute the log's chain of digests."""
        request = wire.VerifyAuditLogRequest()
        return self._registry.unary(self._registry_stub.VerifyAuditLog, request)


class AsyncPromotionCalls:
    """The part of :class:`autoisp_client.AsyncClient` about promotion and the audit log."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

    async def promote(
        self,
        name: str,
        *,
        alias: str = "",
        gate: str = "",
        evaluation: str = "",
        override: bool = False,
        comment: str = "",
        etag: str = "",
        request_id: str = "",
        validate_only: bool = False,
    ) -> wire.PromoteResponse:
        """As :meth:`autoisp_client.Client.promote`."""
        request = messages.promotion(
            name, alias, gate, evaluation, override, comment, etag, request_id, validate_only
        )
        return await self._registry.unary(self._registry_stub.Promote, request)

    async def rollback(
        self, model: str, *, alias: str = "", comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.RollbackResponse:
        """As :meth:`autoisp_client.Client.rollback`."""
        request = messages.way_back(model, alias, comment, etag, request_id)
        return await self._registry.unary(self._registry_stub.Rollback, request)

    def list_audit_entries(
        self, resource: str = "", *, newest_first: bool = False, page_size: int = 0
    ) -> AsyncIterator[wire.AuditEntry]:
        """As :meth:`autoisp_client.Client.list_audit_entries`."""
        request = messages.audit_list(resource, newest_first, page_size)
        call = self._registry_stub.ListAuditEntries
        return self._registry.pages(call, request, lambda page: page.audit_entries)

    async def verify_audit_log(self) -> wire.VerifyAuditLogResponse:
        """Lets the registry recompute the log's chain of digests."""
        request = wire.VerifyAuditLogRequest()
        return await self._registry.unary(self._registry_stub.VerifyAuditLog, request)

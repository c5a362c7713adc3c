"""Reading the audit log."""

from __future__ import annotations

from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.pagination import Page, PageRequest

from autoisp_registry.audit import AuditEntry
from autoisp_registry.ports import AuditLog, AuditState


class Auditing:
    """The use cases that read the audit log.

    Args:
        log: the log.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def list_entries(
        self, page_size: int, page_token: str, resource: str, *, descending: bool
    ) -> Page[AuditEntry]:
        """A page of entries, oldest or newest first, of one resource unless it is empty.

        Raises:
            InvalidArgumentError: ``page_size``, ``page_token`` or ``resource``.
        """
        patterns = (names.MODEL, names.MODEL_VERSION, names.CHANNEL)
        if resource and not any(pattern.match(resource) for pattern in patterns):
            raise InvalidArgumentError(
                "resource",
                f"resource {resource[:200]!r} is no name of the form {', '.join(map(str, patterns))}",
                reason="INVALID_NAME",
            )
        page = PageRequest.parse(page_size, page_token, f"{resource} {descending}")
        return await self._log.list_entries(page, resource, descending=descending)

    async def verify(self) -> AuditState:
        """Recompute the log's chain of digests."""
        return await self._log.verify()

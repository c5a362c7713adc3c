"""Etags: what a caller says it saw."""

from __future__ import annotations

from autoisp_core.errors import AbortedError


def etag_of(revision: int) -> str:
    """The etag of a revision."""
    return f'"{revision}"'


def require_etag(name: str, current: str, seen: str) -> None:
    """Check that the caller saw the resource as it is; an empty ``seen`` is not checked.

    Raises:
        AbortedError: it changed since.
    """
    if seen and seen != current:
        raise AbortedError(
            f"{name} changed since its etag was {seen}; get it again and repeat with its new etag",
            reason="ETAG_MISMATCH",
            metadata={"resource": name, "field": "etag", "etag": current},
        )

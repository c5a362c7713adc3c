"""W3C ``traceparent`` pass-through: what arrives with a call or a message leaves with what that causes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

TRACEPARENT = "traceparent"

_FORM = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_current: ContextVar[str | None] = ContextVar("autoisp_traceparent", default=None)


def current_traceparent() -> str | None:
    """The ``traceparent`` of what is being handled now, if it came with one."""
    return _current.get()


@contextmanager
def traced(traceparent: str | None) -> Iterator[None]:
    """Handle something that came with ``traceparent``; a malformed one is dropped, as the standard asks."""
    valid = traceparent if traceparent and _FORM.fullmatch(traceparent) else None
    token = _current.set(valid)
    try:
        yield
    finally:
        _current.reset(token)

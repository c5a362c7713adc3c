"""Who makes a call, as the call says; for audit logs."""

from __future__ import annotations

from typing import Any

ACTOR = "autoisp-actor"
"""Metadata of a call: at most 128 printable characters, percent-encoded where they are not ASCII."""

UNKNOWN = "unknown"
"""The actor of a call that does not say."""

_MAX_CHARS = 128


def actor_of(context: Any) -> str:
    """The call's actor; :data:`UNKNOWN` if it says none or something unprintable."""
    for key, value in context.invocation_metadata() or ():
        if key == ACTOR and isinstance(value, str) and value.isprintable() and value.strip():
            return value.strip()[:_MAX_CHARS]
    return UNKNOWN

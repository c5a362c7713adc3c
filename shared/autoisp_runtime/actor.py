"""Who makes a call, as the call says; for audit logs."""

from __future__ import annotations

from typing import Any

from autoisp_core import actor

ACTOR = actor.METADATA
"""The key of the metadata that says it."""

UNKNOWN = "unknown"
"""The actor of a call that does not say."""

_OURS = "registry"  # what the registry does by itself, which no caller may pass for


def actor_of(context: Any) -> str:
    """The call's actor, as :mod:`autoisp_core.actor` writes it; :data:`UNKNOWN` if it says none or something
    unprintable."""
    for key, value in context.invocation_metadata() or ():
        if key == ACTOR and isinstance(value, str) and (name := actor.decoded(value)):
            return f"{name} (a caller)" if name == _OURS else name
    return UNKNOWN

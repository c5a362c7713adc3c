"""Who makes a call: as it proved, or else as it says; for audit logs."""

from __future__ import annotations

from typing import Any

from autoisp_core import actor

from autoisp_runtime.security.caller import current_caller

ACTOR = actor.METADATA
"""The key of the metadata that says it."""

UNKNOWN = "unknown"
"""The actor of a call that does not say."""

_OURS = "registry"  # what the registry does by itself, which no caller may pass for


def actor_of(context: Any) -> str:
    """The name that the caller proved, by a token or a certificate.

    Where nobody proves anything: the one that it says, as :mod:`autoisp_core.actor` writes it;
    :data:`UNKNOWN` if it says none or something unprintable.
    """
    caller = current_caller()
    name = caller.name if caller is not None and caller.name else _said(context)
    return f"{name} (a caller)" if name == _OURS else name


def _said(context: Any) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == ACTOR and isinstance(value, str) and (name := actor.decoded(value)):
            return name
    return UNKNOWN

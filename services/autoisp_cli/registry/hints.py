"""What to type where an error of the registry names the call that mends it."""

from __future__ import annotations

from autoisp_core.errors import AutoISPError

from autoisp_cli.registry.short_names import short_resource

_LISTED = frozenset({"clips", "datasets", "evaluations", "models", "searches"})


def hint(error: AutoISPError) -> str:
    """The command, after the error's message; empty if there is none to add."""
    resource = error.metadata.get("resource", "")
    if error.reason == "DELETED" and resource.startswith("models/"):
        return f"; type 'autoisp models restore {short_resource(resource)}'"
    if error.reason == "NOT_FOUND":
        parts = resource.split("/")
        if len(parts) == 2 and parts[0] in _LISTED:
            return f": autoisp {parts[0]} list"
        if len(parts) == 4 and parts[::2] == ["products", "channels"]:
            return ": autoisp channels list"
    return ""

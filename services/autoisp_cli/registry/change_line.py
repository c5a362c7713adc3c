"""Changes of the registry as they come, one line each."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2 as wire
from rich.text import Text

from autoisp_cli.commands.common import time_text
from autoisp_cli.registry.short_names import model_id, short_resource


def watch_line(message: wire.WatchModelsResponse) -> Text | None:
    """A model of the snapshot, or a change; None for the end of the snapshot."""
    match message.WhichOneof("payload"):
        case "model":
            model = message.model
            aliases = ", ".join(f"{alias}={number}" for alias, number in sorted(model.aliases.items()))
            return Text.assemble(
                (f"{model_id(model.name)}", "cyan"),
                f"  {model.latest_version} version{'s' if model.latest_version != 1 else ''}",
                (f"  {aliases}" if aliases else "", "green"),
            )
        case "change":
            return entry_line(message.change.entry)
        case _:
            return None


def entry_line(entry: wire.AuditEntry) -> Text:
    """``14:02:11  17  sam  version.promote night@3: champion is 3, before 2``."""
    text = Text.assemble(
        (time_text(entry, "time")[11:], "dim"),
        (f"  {entry.sequence}", "dim"),
        f"  {entry.actor}  ",
    )
    if entry.refused:
        text.append("✗ refused ", style="bold red")
    text.append(entry.action, style="bold")
    text.append(f" {short_resource(entry.resource)}", style="cyan")
    return text.append(f": {entry.summary.removeprefix('refused: ')}" if entry.summary else "")

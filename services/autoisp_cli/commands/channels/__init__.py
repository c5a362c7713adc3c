"""``autoisp channels``: bring versions to devices, step by step."""

from __future__ import annotations

import typer

from autoisp_cli.commands.channels import devices, making, rolling, showing

app = typer.Typer(help="Channels and rollouts: bring versions to devices step by step.", no_args_is_help=True)
for _name, _command in (
    ("list", showing.list_command),
    ("show", showing.show_command),
    ("create", making.create_command),
    ("start", rolling.start_command),
    ("raise", rolling.raise_command),
    ("set", rolling.set_command),
    ("pause", rolling.pause_command),
    ("resume", rolling.resume_command),
    ("complete", rolling.complete_command),
    ("abort", rolling.abort_command),
    ("rollback", rolling.rollback_command),
    ("resolve", devices.resolve_command),
    ("report", devices.report_command),
    ("watch", showing.watch_command),
    ("delete", making.delete_command),
):
    app.command(_name)(_command)

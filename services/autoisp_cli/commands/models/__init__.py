"""``autoisp models``: registered networks, their versions, who promoted them, and their files."""

from __future__ import annotations

import typer

from autoisp_cli.commands.models import changing, files, history, linting, listing, promoting, showing

app = typer.Typer(
    help="Models and their versions: what there is, what becomes champion, and what devices get.",
    no_args_is_help=True,
)
for _name, _command in (
    ("list", listing.list_command),
    ("show", showing.show_command),
    ("versions", listing.versions_command),
    ("register", changing.register_command),
    ("tag", changing.tag_command),
    ("describe", changing.describe_command),
    ("gate", changing.gate_command),
    ("alias", promoting.alias_command),
    ("unalias", promoting.unalias_command),
    ("promote", promoting.promote_command),
    ("rollback", promoting.rollback_command),
    ("history", history.history_command),
    ("watch", history.watch_command),
    ("card", showing.card_command),
    ("lineage", showing.lineage_command),
    ("lint", linting.lint_command),
    ("convert", changing.convert_command),
    ("download", files.download_command),
    ("release", files.release_command),
    ("verify", files.verify_command),
    ("export", files.export_command),
    ("keys", history.keys_command),
    ("delete", changing.delete_command),
    ("restore", changing.restore_command),
):
    app.command(_name)(_command)

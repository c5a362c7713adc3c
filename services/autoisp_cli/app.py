"""The command's tree."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from autoisp_cli.access import CaOption, CertOption, KeyOption, TokenFileOption, choose
from autoisp_cli.commands import (
    bench,
    channels,
    clips,
    datasets,
    demo,
    dlq,
    evaluations,
    models,
    searches,
    sensors,
    status,
    tokens,
    tune,
    up,
)

app = typer.Typer(
    name="autoisp",
    help="Turns a slow camera prototype and footage into a small pixel-level network, with its evidence.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("tune")(tune.tune_command)
app.command("demo")(demo.demo_command)
app.command("up")(up.up_command)
app.command("status")(status.status_command)
app.add_typer(clips.app, name="clips")
app.add_typer(datasets.app, name="datasets")
app.add_typer(sensors.app, name="sensors")
app.add_typer(searches.app, name="searches")
app.add_typer(evaluations.app, name="evaluations")
app.add_typer(models.app, name="models")
app.add_typer(channels.app, name="channels")
app.add_typer(dlq.app, name="dlq")
app.add_typer(tokens.app, name="tokens")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"autoisp {version('autoisp')}")
        raise typer.Exit


@app.callback()
def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
    ca: CaOption = None,
    cert: CertOption = None,
    key: KeyOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Turns a slow camera prototype and footage into a small pixel-level network, with its evidence."""
    choose(ca, cert, key, token_file)

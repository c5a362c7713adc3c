"""``autoisp models show``, ``card`` and ``lineage``."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.rule import Rule
from rich.text import Text

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    output_console,
    services_for,
    show_one,
)
from autoisp_cli.commands.models.options import VersionArgument, VersionedArgument, VersionOption
from autoisp_cli.paths import expanded
from autoisp_cli.registry.card import abridged
from autoisp_cli.registry.lineage_tree import lineage_tree
from autoisp_cli.registry.short_names import short_version, version_name
from autoisp_cli.registry.version_view import formats_table, unmade_formats, version_rows
from autoisp_cli.views.files import write_text
from autoisp_cli.views.json_lines import message_dict

_TEXT_WIDTH = 100
"""Of a card on a wide terminal: lines of text longer than that are hard to read."""


def show_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    wanted: VersionOption = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show a version: figures, card, lineage.

    \b
    autoisp models show night
    autoisp models show night@champion
    """
    with services_for(server, state) as services:
        client = services.client
        found = client.get_model_version(version_name(model, version or wanted))
        if json:
            show_one(found, [], as_json=True)
            return
        card = client.get_model_card(found.name).markdown
        lineage = client.get_lineage(found.name)
    rows = version_rows(found, workers=not services.ours)  # ours are for looking only
    show_one(found, [row for row in rows if row[1]], as_json=False)
    console = output_console()
    width = min(console.width, _TEXT_WIDTH)
    if found.formats:
        console.print()
        console.print(formats_table(found))
    for line in unmade_formats(found):
        console.print(line)
    console.print()
    console.print(Rule("card", style="dim"), width=width)
    console.print(Markdown(abridged(card)), width=width)
    console.print(Text(f"all of it: autoisp models card {short_version(found.name)}", style="dim"))
    console.print()
    console.print(Rule("where it came from", style="dim"), width=width)
    console.print(lineage_tree(lineage, found.name))


def card_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it there.")] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Write a version's card, as Markdown.

    \b
    autoisp models card night@champion -o README.md
    """
    with client_for(server, state) as client:
        card = client.get_model_card(version_name(model, version))
    if out is not None:
        write_text("--out", expanded("--out", out), card.markdown)
        show_one(card, [("name", card.name), ("wrote", out)], as_json=json)
    elif json:
        show_one(card, [], as_json=True)
    else:
        print(card.markdown, end="" if card.markdown.endswith("\n") else "\n")


def lineage_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show what a version was made from. Down to the footage; and what was made from it."""
    with client_for(server, state) as client:
        found = client.get_model_version(version_name(model, version))
        graph = client.get_lineage(found.name)
    if json:
        print(json_text.dumps(message_dict(graph), indent=2))
        return
    output_console().print(lineage_tree(graph, found.name))

"""``autoisp models history``, ``watch`` and ``keys``."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import Annotated

import typer
from autoisp.registry.v1 import registry_pb2
from rich.text import Text

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    client_for,
    is_narrow,
    output_console,
    services_for,
    show_list,
    show_one,
)
from autoisp_cli.paths import expanded
from autoisp_cli.registry.change_line import watch_line
from autoisp_cli.registry.history_table import history_table
from autoisp_cli.registry.short_names import model_name, resource_name
from autoisp_cli.views.files import write_text
from autoisp_cli.views.json_lines import message_dict

_PATIENCE_SECONDS = 30.0
"""A watch outlives a restart of the registry."""


def history_command(
    resource: Annotated[
        str, typer.Argument(metavar="MODEL|CHANNEL", help="Only of this; by default of all.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the log's chain of digests. Exit code 1: it is broken.")
    ] = False,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 50,
) -> None:
    """Show who changed what, and on what evidence. The newest comes first.

    \b
    autoisp models history night
    autoisp models history p-series/stable
    autoisp models history --verify
    """
    with client_for(server, state) as client:
        if verify:
            _verify(client.verify_audit_log(), json=json)
            return
        entries = client.list_audit_entries(resource_name(resource), newest_first=True)
        if json:
            show_list(entries, {}, as_json=True, limit=limit)
            return
        shown = [entry for entry, _ in zip(entries, range(limit), strict=False)]
    console = output_console()
    console.print(history_table(shown, narrow=is_narrow() or not console.is_terminal))


def watch_command(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Only this; by default all, and channels too.")
    ] = "",
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help="Go on after this entry of the log.")
    ] = 0,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show what there is, and changes as they come.

    It ends with Ctrl-C, and survives a restart of the registry. With --json each change is a line.
    """
    name = model_name(model) if model else ""
    with services_for(server, state, patience=_PATIENCE_SECONDS) as services:
        console = output_console()
        if console.is_terminal and not json:
            print("watching; Ctrl-C ends it", file=sys.stderr)
        for message in services.client.watch_models(name, after_sequence=after):
            if json:
                print(json_text.dumps(message_dict(message)), flush=True)
            elif (line := watch_line(message)) is not None:
                console.print(line)
            services.check()


def keys_command(
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write each to ID.pem in there.")
    ] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """List the keys whose signatures are good, for 'autoisp-verify'."""
    with client_for(server, state) as client:
        keys = client.list_signing_keys()
    if out is not None:
        for key in keys:
            write_text("--out", expanded("--out", out) / f"{key.key_id}.pem", key.public_key)
    if json:
        show_list(keys, {}, as_json=True, limit=len(keys))
        return
    for key in keys:
        line = Text.assemble((key.key_id, "bold"), "  signs" if key.active else "  trusted")
        output_console().print(line.append(f"  {out / f'{key.key_id}.pem'}" if out else ""))
        if out is None:
            print(key.public_key.strip())


def _verify(answer: registry_pb2.VerifyAuditLogResponse, *, json: bool) -> None:
    words = "✓ intact" if answer.intact else f"✗ broken at entry {answer.broken_sequence}: {answer.problem}"
    rows = [
        ("log", Text(words, style="green" if answer.intact else "bold red")),
        ("entries", f"{answer.entries:,}"),
        ("head", answer.head_sha256),
        ("", "keep it: it tells later that nothing up to here was changed"),
    ]
    show_one(answer, rows, as_json=json)
    if not answer.intact:
        raise typer.Exit(1)

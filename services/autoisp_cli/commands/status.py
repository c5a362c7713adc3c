"""``autoisp status``: is everything there, and what is it doing?"""

from __future__ import annotations

import json as json_module
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from autoisp_client import Client, Endpoints
from autoisp_core.errors import FailedPreconditionError
from rich.live import Live

from autoisp_cli.access import local_tls
from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    is_narrow,
    output_console,
)
from autoisp_cli.local.folder import StateFolder, is_in_use
from autoisp_cli.status.collect import collect
from autoisp_cli.status.findings import findings
from autoisp_cli.status.json_form import snapshot_dict
from autoisp_cli.status.view import render

_EVERY_SECONDS = 2.0


def status_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds, until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what is wrong and what to do, the health of every part, the queue and the running searches.

    Exit code 0: all parts can work; 1: one can't; 2: nothing runs here, or the address is no address.
    """
    with _running(server, state) as (client, logs):
        if watch:
            _watch(client, logs, as_json=json)
            return
        snapshot = collect(client)
        found = findings(snapshot, logs)
        if json:
            print(json_module.dumps(snapshot_dict(snapshot, found), indent=2))
        else:
            output_console().print(render(snapshot, found, narrow=is_narrow()))
    if any(finding.bad for finding in found):
        raise typer.Exit(1)


@contextmanager
def _running(server: str | None, state: Path) -> Iterator[tuple[Client, Path | None]]:
    """A client of what runs, and where its logs are if that is here.

    Nothing is started: that would show only itself.
    """
    if server is not None:
        with Client(server, patience=0.0) as client:
            yield client, None
        return
    folder = StateFolder(state)
    if not is_in_use(folder):
        raise FailedPreconditionError(
            f"nothing runs in --state {state}; start it with 'autoisp up', or name a --server",
            reason="NOT_RUNNING",
            metadata={"field": "--state"},
        )
    if not folder.endpoints_file.exists():
        raise FailedPreconditionError(
            f"what runs in --state {state} is starting or stopping; try again in some seconds",
            reason="NOT_RUNNING",
            metadata={"field": "--state"},
        )
    with Client(Endpoints.load(folder.endpoints_file), patience=0.0, tls=local_tls()) as client:
        yield client, folder.logs


def _watch(client: Client, logs: Path | None, *, as_json: bool) -> None:
    try:
        if as_json:
            while True:
                snapshot = collect(client)
                line = json_module.dumps(snapshot_dict(snapshot, findings(snapshot, logs)))
                print(line, flush=True)
                time.sleep(_EVERY_SECONDS)
        before = None
        with Live(console=output_console(), auto_refresh=False) as live:
            while True:
                snapshot = collect(client)
                found = findings(snapshot, logs)
                live.update(render(snapshot, found, narrow=is_narrow(), before=before), refresh=True)
                before = snapshot
                time.sleep(_EVERY_SECONDS)
    except KeyboardInterrupt:
        return  # this is how it is meant to end

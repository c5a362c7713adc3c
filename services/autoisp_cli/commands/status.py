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
from rich.console import RenderableType
from rich.live import Live

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
from autoisp_cli.status.json_form import snapshot_dict
from autoisp_cli.status.view import render

_EVERY_SECONDS = 2.0


def status_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds, until Ctrl-C.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the health of every part, the queue and the running searches; exit code 1 if a part can't work."""
    with _running(server, state) as client:
        if watch:
            _watch(client, as_json=json)
            return
        snapshot = collect(client)
        if json:
            print(json_module.dumps(snapshot_dict(snapshot), indent=2))
        else:
            output_console().print(render(snapshot, narrow=is_narrow()))
    if not snapshot.well:
        raise typer.Exit(1)


@contextmanager
def _running(server: str | None, state: Path) -> Iterator[Client]:
    """A client of what runs; nothing is started for it: that would show only itself."""
    folder = StateFolder(state)
    if server is None and not is_in_use(folder):
        raise FailedPreconditionError(
            f"nothing runs in --state {state}; start it with 'autoisp up', or name a --server",
            reason="NOT_RUNNING",
            metadata={"field": "--state"},
        )
    where = server if server is not None else Endpoints.load(folder.endpoints_file)
    with Client(where, patience=0.0) as client:
        yield client


def _watch(client: Client, *, as_json: bool) -> None:
    try:
        if as_json:
            while True:
                print(json_module.dumps(snapshot_dict(collect(client))), flush=True)
                time.sleep(_EVERY_SECONDS)
        with Live(_shown(client), console=output_console(), auto_refresh=False) as live:
            while True:
                time.sleep(_EVERY_SECONDS)
                live.update(_shown(client), refresh=True)
    except KeyboardInterrupt:
        return  # this is how it is meant to end


def _shown(client: Client) -> RenderableType:
    return render(collect(client), narrow=is_narrow())

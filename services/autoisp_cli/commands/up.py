"""``autoisp up``: everything on this machine until Ctrl-C."""

from __future__ import annotations

import json as json_module
import sys
import time
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from autoisp_cli.commands.common import DEFAULT_STATE, JsonOption, StateOption, WorkersOption
from autoisp_cli.local import LocalStack, default_workers

_POLL_SECONDS = 0.2


def up_command(
    workers: WorkersOption = None, state: StateOption = DEFAULT_STATE, json: JsonOption = False
) -> None:
    """Run the broker, the services and the workers here, until Ctrl-C."""
    count = workers or default_workers()
    try:
        with LocalStack(state, count) as stack:
            if json:
                print(json_module.dumps(asdict(stack.endpoints)), flush=True)
            else:
                _print_table(stack, count)
            while True:
                for note in stack.notes():
                    print(note, file=sys.stderr, flush=True)
                stack.check()
                time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        # This is how it is meant to end.
        if not json:
            print("stopped")


def _print_table(stack: LocalStack, workers: int) -> None:
    console = Console()
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    table.add_column("SERVICE")
    table.add_column("ADDRESS")
    for service, address in asdict(stack.endpoints).items():
        table.add_row(service, address)
    console.print(table)
    console.print(
        f"\n{workers} worker{'s' if workers != 1 else ''}, state in {stack.folder.path}, "
        f"logs in {stack.folder.logs}\n"
        f"use it with --server {stack.folder.endpoints_file}; Ctrl-C stops it",
        soft_wrap=True,
    )

"""What the subcommands share: options, a client, and output."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from autoisp_client import Client, Endpoints
from autoisp_core.errors import InvalidArgumentError
from rich.console import Console
from rich.table import Table

from autoisp_cli.local import LocalStack
from autoisp_cli.local.folder import StateFolder, is_in_use
from autoisp_cli.views.json_lines import message_dict

M = TypeVar("M")

DEFAULT_STATE = Path(".autoisp")
_PATIENCE_SECONDS = 1.0

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="ADDRESS",
        help="Services to use: HOST:PORT, ingest=HOST:PORT,search=…, or an endpoints.json.",
    ),
]
StateOption = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="Folder of the local services' data.")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Trials at once; by default one per core.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON for machines.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")]


@contextmanager
def client_for(server: str | None, state: Path) -> Iterator[Client]:
    """A client of the named server, of the run that holds the state folder, or of services started for this.

    Raises:
        InvalidArgumentError: no server is named and there is no state folder.
    """
    folder = StateFolder(state)
    if server is not None:
        with Client(server, patience=_PATIENCE_SECONDS) as client:
            yield client
    elif is_in_use(folder):
        with Client(Endpoints.load(folder.endpoints_file)) as client:
            yield client
    elif not folder.path.is_dir():
        raise InvalidArgumentError(
            "--state",
            f"--state {state}: no such folder; run 'autoisp tune' or 'autoisp up' first, or name a --server",
        )
    else:
        with LocalStack(state, workers=0) as stack, Client(stack.endpoints) as client:
            yield client


def show_list(
    items: Iterable[M], columns: Mapping[str, Callable[[M], Any]], *, as_json: bool, limit: int
) -> None:
    """Up to ``limit`` messages as a table, or as one JSON array."""
    shown: list[M] = []
    for item in items:
        if len(shown) == limit:
            break
        shown.append(item)
    if as_json:
        print(json.dumps([message_dict(item) for item in shown], indent=2))
        return
    table = Table(*columns, box=None, header_style="dim", padding=(0, 3, 0, 0))
    for item in shown:
        table.add_row(*(str(read(item)) for read in columns.values()))
    _console().print(table)


def show_one(message: Any, rows: Sequence[tuple[str, Any]], *, as_json: bool) -> None:
    """One message as name and value pairs, or as one JSON object."""
    if as_json:
        print(json.dumps(message_dict(message), indent=2))
        return
    table = Table.grid(padding=(0, 3, 0, 0))
    for name, value in rows:
        table.add_row(f"[dim]{name}[/dim]", str(value))
    _console().print(table)


def full_name(collection: str, name: str) -> str:
    """``tune-1`` and ``searches/tune-1`` both name the search ``searches/tune-1``."""
    return name if "/" in name else f"{collection}/{name}"


def state_name(enumeration: Any, value: int) -> str:
    """``SEARCH_STATE_RUNNING`` as ``running``."""
    return str(enumeration.Name(value)).rsplit("STATE_", 1)[-1].lower()


def time_text(message: Any, field: str) -> str:
    """A timestamp as local people write it in logs; empty if unset."""
    if not message.HasField(field):
        return ""
    return str(getattr(message, field).ToDatetime().strftime("%Y-%m-%d %H:%M:%S"))


def _console() -> Console:
    console = Console()
    # Into a pipe, nobody wants lines wrapped at 80 characters.
    return console if console.is_terminal else Console(width=240)

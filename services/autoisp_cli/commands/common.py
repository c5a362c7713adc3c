"""What the subcommands share: options, a client, and output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from autoisp_client import Client, Endpoints
from autoisp_core.errors import InvalidArgumentError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autoisp_cli.access import local_tls
from autoisp_cli.local import LocalStack
from autoisp_cli.local.folder import StateFolder, is_in_use
from autoisp_cli.views.json_lines import message_dict

M = TypeVar("M")

DEFAULT_STATE = Path(".autoisp")
_NARROW = 100
"""Columns of a terminal up to which a table has no room to spare."""
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


@dataclass(frozen=True)
class Services:
    """Services to use.

    Attributes:
        check: raises what ended them, if they are ours and did.
        ours: whether they were started for this, and end with it.
    """

    client: Client
    check: Callable[[], None]
    ours: bool


@contextmanager
def services_for(
    server: str | None,
    state: Path,
    *,
    workers: int = 0,
    patience: float = _PATIENCE_SECONDS,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Services]:
    """The named server, the run that holds the state folder, or services started for this.

    Args:
        workers: to start with the services.
        patience: seconds that nobody may answer.
        note: told of parts that were started again.

    Raises:
        InvalidArgumentError: no server is named and there is no state folder.
    """
    folder = StateFolder(state)
    if server is not None:
        with Client(server, patience=patience) as client:
            yield Services(client, lambda: None, ours=False)
    elif is_in_use(folder):
        endpoints = Endpoints.load(folder.endpoints_file)
        with Client(endpoints, patience=patience, tls=local_tls()) as client:
            yield Services(client, lambda: None, ours=False)
    elif not folder.path.is_dir():
        raise InvalidArgumentError(
            "--state",
            f"--state {state}: no such folder; run 'autoisp tune' or 'autoisp up' first, or name a --server",
        )
    else:
        with (
            LocalStack(state, workers) as stack,
            Client(stack.endpoints, patience=patience, tls=local_tls()) as client,
        ):

            def check() -> None:
                for text in stack.notes():
                    note(text)
                stack.check()

            yield Services(client, check, ours=True)


@contextmanager
def client_for(server: str | None, state: Path) -> Iterator[Client]:
    """A client of what :func:`services_for` finds, for looking at what there is."""
    with services_for(server, state) as services:
        yield services.client


def show_list(
    items: Iterable[M],
    columns: Mapping[str, Callable[[M], Any]],
    *,
    as_json: bool,
    limit: int,
    if_none: str = "",
) -> None:
    """Up to ``limit`` messages as a table, or as one JSON array.

    Args:
        if_none: told on the error output, instead of a table of no rows.
    """
    shown: list[M] = []
    for item in items:
        if len(shown) == limit:
            break
        shown.append(item)
    if as_json:
        print(json.dumps([message_dict(item) for item in shown], indent=2))
        return
    if not shown and if_none:
        print(if_none, file=sys.stderr)
        return
    table = Table(box=None, header_style="dim", padding=(0, 2 if is_narrow() else 3, 0, 0))
    for place, name in enumerate(columns):
        table.add_column(name, no_wrap=place == 0)  # a name in two lines can't be copied
    for item in shown:
        table.add_row(*(_as_text(read(item)) for read in columns.values()))
    output_console().print(table)


def show_one(message: Any, rows: Iterable[tuple[str, Any]], *, as_json: bool) -> None:
    """One message as name and value pairs, or as one JSON object."""
    if as_json:
        print(json.dumps(message_dict(message), indent=2))
        return
    table = Table.grid(padding=(0, 3, 0, 0))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), _as_text(value))
    output_console().print(table)


def _as_text(value: Any) -> Text:
    # As text: brackets in a name would be markup.
    return value if isinstance(value, Text) else Text(str(value))


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


def minute_text(message: Any, field: str) -> str:
    """As :func:`time_text`, to the minute; on a narrow terminal, the day alone."""
    return time_text(message, field)[: 10 if is_narrow() else 16]


def is_narrow() -> bool:
    """Whether tables had better leave something out."""
    return output_console().width <= _NARROW


def output_console() -> Console:
    """Where tables go."""
    console = Console()
    # Into a pipe, nobody wants lines wrapped at 80 characters.
    return console if console.is_terminal else Console(width=240)

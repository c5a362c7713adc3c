"""``autoisp dlq``: messages that nobody could handle."""

from __future__ import annotations

import base64
import json as json_module
from collections.abc import Iterator
from typing import Annotated

import typer
from autoisp.operations.v1 import operations_pb2
from autoisp_client import Client
from autoisp_core.errors import InvalidArgumentError

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    client_for,
    is_narrow,
    show_list,
    show_one,
    time_text,
)
from autoisp_cli.views.json_lines import message_dict

app = typer.Typer(help="Dead letters: what nobody could handle, and sending it again.", no_args_is_help=True)

_COLLECTION = "deadLetters/"
_PREVIEW_BYTES = 256

NumbersArgument = Annotated[
    list[str] | None, typer.Argument(metavar="NUMBER...", help="As 'autoisp dlq list' shows them.")
]
ConsumerOption = Annotated[
    str, typer.Option("--consumer", help="Only those that this consumer gave up, such as worker-trials.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Only those with this reason.")]
AllOption = Annotated[
    bool, typer.Option("--all", help="All that --consumer and --reason leave, instead of numbers.")
]


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    consumer: ConsumerOption = "",
    reason: ReasonOption = "",
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List dead letters, oldest first."""
    columns = {
        "NUMBER": lambda letter: _number(letter.name),
        "KIND": lambda letter: letter.kind,
        "OF": lambda letter: letter.resource_id,
        "REASON": lambda letter: letter.reason,
        "CONSUMER": lambda letter: letter.consumer,
        "WHEN": lambda letter: time_text(letter, "create_time")[: 10 if is_narrow() else 19],
        "REPLAYED": lambda letter: time_text(letter.replay, "create_time")[: 10 if is_narrow() else 19],
    }
    if is_narrow():
        del columns["CONSUMER"]
    with client_for(server, state) as client:
        show_list(_selected(client, consumer, reason), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    number: Annotated[str, typer.Argument(help="As 'autoisp dlq list' shows it.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one with its headers and payload."""
    with client_for(server, state) as client:
        letter = client.get_dead_letter(_name(number))
        replay = letter.replay
        rows = [
            ("number", _number(letter.name)),
            ("subject", letter.subject),
            ("id", letter.event_id),
            ("sent by", f"{letter.source} at {time_text(letter, 'send_time') or 'an unknown time'}"),
            ("given up by", f"{letter.consumer} in {letter.process or 'an unknown process'}"),
            ("at", time_text(letter, "create_time")),
            ("deliveries", letter.deliveries),
            ("reason", letter.reason),
            ("error", letter.error),
            *((name, letter.headers[name]) for name in sorted(letter.headers)),
            ("payload", _preview(letter.payload)),
            (
                "replayed",
                f"{time_text(replay, 'create_time')} by {replay.actor} as {replay.event_id}"
                if letter.HasField("replay")
                else "never",
            ),
        ]
        show_one(letter, rows, as_json=json)


@app.command("replay")
def replay_command(
    numbers: NumbersArgument = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    every: AllOption = False,
    consumer: ConsumerOption = "",
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Send dead letters again to where they came from, under new ids; they stay until they are dropped.

    Commands are answered with the failure that was recorded when they were given up.
    """
    with client_for(server, state) as client:
        replayed = []
        for name in _chosen(client, numbers, every, consumer, reason):
            letter = client.replay_dead_letter(name)
            replayed.append(letter)
            if not json:
                print(f"{_number(letter.name)}  {letter.subject}  sent as {letter.replay.event_id}")
        if json:
            print(json_module.dumps([message_dict(letter) for letter in replayed], indent=2))


@app.command("drop")
def drop_command(
    numbers: NumbersArgument = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    every: AllOption = False,
    consumer: ConsumerOption = "",
    reason: ReasonOption = "",
    json: JsonOption = False,
) -> None:
    """Delete dead letters for good."""
    with client_for(server, state) as client:
        dropped = []
        for name in _chosen(client, numbers, every, consumer, reason):
            client.drop_dead_letter(name)
            dropped.append(name)
            if not json:
                print(f"{_number(name)}  dropped")
        if json:
            print(json_module.dumps(dropped, indent=2))


def _chosen(client: Client, numbers: list[str] | None, every: bool, consumer: str, reason: str) -> list[str]:
    if every:
        if numbers:
            raise InvalidArgumentError("--all", "give numbers or --all, not both")
        return [letter.name for letter in _selected(client, consumer, reason)]
    if not numbers:
        raise InvalidArgumentError("NUMBER", "give the numbers of dead letters, or --all; 'list' shows them")
    if consumer or reason:
        raise InvalidArgumentError("--consumer", "--consumer and --reason choose among --all, not numbers")
    return [_name(number) for number in numbers]


def _selected(client: Client, consumer: str, reason: str) -> Iterator[operations_pb2.DeadLetter]:
    letters = client.list_dead_letters(consumer=consumer)
    return (letter for letter in letters if not reason or letter.reason == reason)


def _name(number: str) -> str:
    digits = number.removeprefix(_COLLECTION)
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidArgumentError("NUMBER", f"{number!r} is no number of a dead letter; 'list' shows them")
    return f"{_COLLECTION}{digits}"


def _number(name: str) -> str:
    return name.removeprefix(_COLLECTION)


def _preview(payload: bytes) -> str:
    shown = base64.b64encode(payload[:_PREVIEW_BYTES]).decode()
    more = f" … of {len(payload)} bytes; --json has all" if len(payload) > _PREVIEW_BYTES else ""
    return f"{shown}{more}" if payload else "empty"

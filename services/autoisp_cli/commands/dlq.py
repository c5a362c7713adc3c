"""``autoisp dlq``: messages that nobody could handle."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable
from itertools import islice
from typing import Annotated, TypeVar

import typer
from autoisp.operations.v1 import operations_pb2
from autoisp_core.errors import AutoISPError, ErrorCode, FailedPreconditionError

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    client_for,
    output_console,
    show_list,
    show_one,
    time_text,
)
from autoisp_cli.commands.dlq_choice import (
    AllOption,
    ConsumerOption,
    NumbersArgument,
    ReasonOption,
    chosen,
    name_of,
    none,
    selected,
    wanted,
)
from autoisp_cli.views.dead_letters import (
    advice,
    blocks,
    how_often,
    is_command,
    moment,
    next_steps,
    number_of,
    preview,
)
from autoisp_cli.views.json_lines import message_dict

T = TypeVar("T")

app = typer.Typer(help="Dead letters: what nobody could handle, and sending it again.", no_args_is_help=True)

_MOST_ASKED = 20
_PAST = frozenset({ErrorCode.NOT_FOUND, ErrorCode.FAILED_PRECONDITION})
"""Of one letter alone: the others can be dealt with."""

YesOption = Annotated[bool, typer.Option("--yes", help="Drop without asking.")]


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    consumer: ConsumerOption = "",
    reason: ReasonOption = "",
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List dead letters, oldest first: what, why, how often, when, and what to do next.

    A terminal gets some lines for each, a pipe one.
    """
    with client_for(server, state) as client:
        letters = list(islice(selected(client, consumer, reason), limit + 1))
    more, letters = len(letters) > limit, letters[:limit]
    console = output_console()
    if letters and console.is_terminal and not json:
        for block in blocks(letters, console.width):
            console.print(block)
        console.print()
        for step in next_steps(letters):
            console.print(step)
    else:
        columns = {
            "NUMBER": number_of,
            "KIND": lambda letter: letter.kind,
            "OF": lambda letter: letter.resource_id,
            "REASON": lambda letter: letter.reason,
            "DELIVERIES": lambda letter: letter.deliveries,
            "CONSUMER": lambda letter: letter.consumer,
            "WHEN (UTC)": lambda letter: time_text(letter, "create_time"),
            "REPLAYED": lambda letter: time_text(letter.replay, "create_time") or "never",
        }
        show_list(letters, columns, as_json=json, limit=limit, if_none=none(consumer, reason))
    if more:
        print(f"there are more; --limit {10 * limit} shows them", file=sys.stderr)


@app.command("show")
def show_command(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="As 'autoisp dlq list' shows it.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one with its headers, its payload, and what to do next."""
    name = name_of(number)
    with client_for(server, state) as client:
        letter = client.get_dead_letter(name)
    replay = letter.replay
    sent = moment(letter.send_time) if letter.HasField("send_time") else "at an unknown time"
    rows = [
        ("number", number_of(letter)),
        ("subject", letter.subject),
        ("id", letter.event_id),
        ("sent", f"{sent}, by {letter.source or 'an unknown sender'}"),
        ("given up", f"{moment(letter.create_time)}, by {letter.process or 'an unknown process'}"),
        ("after", how_often(letter)),
        ("reason", letter.reason),
        ("error", letter.error),
        *((name, letter.headers[name]) for name in sorted(letter.headers)),
        ("payload", preview(letter.payload)),
        (
            "replayed",
            f"{moment(replay.create_time)}, by {replay.actor or 'somebody'} as {replay.event_id}"
            if letter.HasField("replay")
            else "never",
        ),
        ("next", advice(letter)),
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

    What was handled meanwhile is not recorded again. Commands are answered with the failure that was recorded
    when they were given up.
    """
    names = wanted(numbers, every, consumer, reason)
    with client_for(server, state) as client:
        found = chosen(client, names, consumer, reason)

        def replay(letter: operations_pb2.DeadLetter) -> operations_pb2.DeadLetter:
            sent = client.replay_dead_letter(letter.name)
            if not json:
                note = "; it is a command: the failure is told again" if is_command(letter) else ""
                print(f"{number_of(sent)}  {sent.subject}  sent as {sent.replay.event_id}{note}")
            return sent

        done, failed = _each(found, replay)
    if json:
        print(json_module.dumps([message_dict(letter) for letter in done], indent=2))
    elif not found:
        print(none(consumer, reason), file=sys.stderr)
    if failed:
        raise typer.Exit(2)


@app.command("drop")
def drop_command(
    numbers: NumbersArgument = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    every: AllOption = False,
    consumer: ConsumerOption = "",
    reason: ReasonOption = "",
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete dead letters for good, after asking."""
    names = wanted(numbers, every, consumer, reason)
    if not yes and not sys.stdin.isatty():
        raise FailedPreconditionError(
            "nobody can be asked whether to delete them for good; give --yes", metadata={"field": "--yes"}
        )
    with client_for(server, state) as client:
        found = chosen(client, names, consumer, reason)
        if found and not yes:
            _ask(found)

        def drop(letter: operations_pb2.DeadLetter) -> str:
            client.drop_dead_letter(letter.name)
            if not json:
                print(f"{number_of(letter)}  dropped")
            return letter.name

        done, failed = _each(found, drop)
    if json:
        print(json_module.dumps(done, indent=2))
    elif not found:
        print(none(consumer, reason), file=sys.stderr)
    if failed:
        raise typer.Exit(2)


def _each(
    letters: list[operations_pb2.DeadLetter], act: Callable[[operations_pb2.DeadLetter], T]
) -> tuple[list[T], bool]:
    """What came of each, and whether any could not be: that keeps no other one waiting."""
    done: list[T] = []
    failed = False
    for letter in letters:
        try:
            done.append(act(letter))
        except AutoISPError as error:
            if error.code not in _PAST:
                raise
            print(f"error: {error.message}", file=sys.stderr)
            failed = True
    return done, failed


def _ask(letters: list[operations_pb2.DeadLetter]) -> None:
    for letter in letters[:_MOST_ASKED]:
        print(f"{number_of(letter)}  {letter.kind}  {letter.resource_id}  {letter.reason}", file=sys.stderr)
    if len(letters) > _MOST_ASKED:
        print(f"and {len(letters) - _MOST_ASKED} more", file=sys.stderr)
    them = "it" if len(letters) == 1 else f"these {len(letters)}"
    if not typer.confirm(f"Delete {them} for good?", err=True):
        print("nothing dropped", file=sys.stderr)
        raise typer.Exit(1)

"""Which dead letters a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from autoisp.operations.v1 import operations_pb2
from autoisp_client import Client
from autoisp_core.errors import InvalidArgumentError
from autoisp_runtime.jetstream.topology import CONSUMERS

from autoisp_cli.views.dead_letters import COLLECTION

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


def wanted(numbers: list[str] | None, every: bool, consumer: str, reason: str) -> list[str] | None:
    """The names that are meant; None: all.

    Raises:
        InvalidArgumentError: neither or both are given.
    """
    if every:
        if numbers:
            raise InvalidArgumentError("--all", "give numbers or --all, not both")
        return None
    if not numbers:
        raise InvalidArgumentError("NUMBER", "give the numbers of dead letters, or --all; 'list' shows them")
    if consumer or reason:
        raise InvalidArgumentError("--consumer", "--consumer and --reason choose among --all, not numbers")
    return list(dict.fromkeys(name_of(number) for number in numbers))


def chosen(
    client: Client, names: list[str] | None, consumer: str, reason: str
) -> list[operations_pb2.DeadLetter]:
    """Those, all of which exist: nothing is done before that is known."""
    if names is None:
        return list(selected(client, consumer, reason))
    return [client.get_dead_letter(name) for name in names]


def selected(client: Client, consumer: str, reason: str) -> Iterator[operations_pb2.DeadLetter]:
    """Those of one consumer, with one reason; empty: any."""
    letters = client.list_dead_letters(consumer=consumer)
    return (letter for letter in letters if not reason or letter.reason == reason.upper())


def none(consumer: str, reason: str) -> str:
    """What to say when none are left."""
    if consumer and consumer not in (known := [spec.durable for spec in CONSUMERS]):
        return f"no dead letters of {consumer!r}; consumers are {', '.join(known)}"
    return "no such dead letters" if consumer or reason else "no dead letters"


def name_of(number: str) -> str:
    """``7`` and ``deadLetters/7`` both name the dead letter ``deadLetters/7``.

    Raises:
        InvalidArgumentError: it is no number.
    """
    digits = number.removeprefix(COLLECTION)
    if not (digits.isascii() and digits.isdecimal()):
        raise InvalidArgumentError("NUMBER", f"{number!r} is no number of a dead letter; 'list' shows them")
    return COLLECTION + (digits.lstrip("0") or "0")

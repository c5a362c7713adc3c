"""Dead letters as people read them: what, why, how often, when, and what to do next."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from autoisp.operations.v1 import operations_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autoisp_cli.report.figures import duration

COLLECTION = "deadLetters/"
_PREVIEW_BYTES = 256
_ERROR_LINES = 2
_RAGGED = 12  # what breaking between words may cost a line
_MOST_NUMBERS = 10
_COMMANDS = "autoisp.v1.cmd."
_UNREADABLE = (
    "another release sent it, or something that is no part of AutoISP: "
    "upgrade what gave it up, then replay it; else drop it"
)
_EVENT = "mend what the error names, then replay it: it is handled as if it had just come"
_AFTER_COMMAND = {
    "prototype.profile": "its search failed; start it again with 'autoisp tune'",
    "trial.run": "its trial is recorded as failed and the search went on",
    "evaluation.run": "its clip is recorded as failed; start another with 'autoisp evaluations run'",
    "model_version.convert": "its version has no edge formats; make them with 'autoisp models convert'",
}


def number_of(letter: operations_pb2.DeadLetter) -> str:
    """As the commands take it."""
    return letter.name.removeprefix(COLLECTION)


def is_command(letter: operations_pb2.DeadLetter) -> bool:
    """Whether it told somebody to do something, and was answered with a failure when it was given up."""
    return letter.subject.startswith(_COMMANDS) and letter.reason != "UNDECODABLE"


def advice(letter: operations_pb2.DeadLetter) -> str:
    """What to do with it."""
    if letter.reason == "UNDECODABLE":
        return _UNREADABLE
    if is_command(letter):
        known = _AFTER_COMMAND.get(letter.kind, "it is recorded as failed; start its work again")
        return f"{known}. A replay would tell that again: drop it"
    return _EVENT


def moment(stamp: Timestamp, now: datetime | None = None) -> str:
    """``2026-11-30 21:37:21 UTC, 4 min 05 s ago``."""
    at = stamp.ToDatetime(tzinfo=UTC)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, {age(stamp, now)}"


def age(stamp: Timestamp, now: datetime | None = None) -> str:
    """``4 min 05 s ago``."""
    passed = (now or datetime.now(UTC)) - stamp.ToDatetime(tzinfo=UTC)
    return f"{duration(max(0.0, passed.total_seconds()))} ago"


def blocks(letters: Sequence[operations_pb2.DeadLetter], width: int) -> Iterator[Table | Padding]:
    """Each in some lines, for a terminal of any width; errors are cut to two."""
    indent = max((len(number_of(letter)) for letter in letters), default=0) + 2
    for letter in letters:
        head = Table.grid(padding=(0, 2, 0, 0), expand=True)
        head.add_column(width=indent - 2, justify="right", no_wrap=True)
        head.add_column(ratio=1, overflow="fold")
        head.add_column(justify="right", no_wrap=True)
        what = Text.assemble((letter.kind, "bold"), "  ", letter.resource_id)
        head.add_row(number_of(letter), what, Text(age(letter.create_time), style="dim"))
        yield head
        why = Text.assemble(
            (letter.reason or "no reason", "yellow"), f", {how_often(letter)}: {letter.error}"
        )
        why.truncate(_ERROR_LINES * (width - indent - _RAGGED), overflow="ellipsis")
        yield Padding(why, (0, 0, 0, indent))
        if letter.HasField("replay"):
            note = f"replayed {age(letter.replay.create_time)} by {letter.replay.actor or 'somebody'}"
            yield Padding(Text(note, style="dim"), (0, 0, 0, indent))


def how_often(letter: operations_pb2.DeadLetter) -> str:
    """``5 deliveries to worker-trials``."""
    times = "1 delivery" if letter.deliveries == 1 else f"{letter.deliveries} deliveries"
    return f"{times} to {letter.consumer or 'an unknown consumer'}"


def next_steps(letters: Sequence[operations_pb2.DeadLetter]) -> Iterator[Text]:
    """What to do, once for all that it is the same for."""
    having: dict[str, list[str]] = {}
    for letter in letters:
        having.setdefault(advice(letter), []).append(number_of(letter))
    for todo, numbers in having.items():
        if (more := len(numbers) - _MOST_NUMBERS) > 0:
            numbers = [*numbers[:_MOST_NUMBERS], f"and {more} more"]
        yield Text.assemble("→ ", (", ".join(numbers), "bold"), f": {todo}")
    if letters:
        yield Text(
            "→ autoisp dlq show, replay or drop NUMBER…; --all with --consumer and --reason", style="dim"
        )


def preview(payload: bytes) -> str:
    """The beginning of a payload, in base64."""
    if not payload:
        return "empty"
    shown = base64.b64encode(payload[:_PREVIEW_BYTES]).decode()
    count = "1 byte" if len(payload) == 1 else f"{len(payload)} bytes"
    rest = f"; the first {_PREVIEW_BYTES}, --json has all" if len(payload) > _PREVIEW_BYTES else ""
    return f"{count} in base64{rest}: {shown}"

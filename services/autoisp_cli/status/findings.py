"""What is wrong in a snapshot, and what to do about it: said once, however many parts say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoisp.operations.v1 import operations_pb2
from autoisp_core.errors import ErrorCode

from autoisp_cli.report.figures import duration
from autoisp_cli.status.collect import Part, Snapshot

_OUTBOX_LATE_S = 60.0
_MOST_NAMES = 5
_NOBODY = frozenset({"SERVER_UNREACHABLE", ErrorCode.DEADLINE_EXCEEDED.name})


@dataclass(frozen=True)
class Finding:
    """One thing.

    Attributes:
        bad: a part can't work; else: it can, but somebody should look.
        what: a sentence without a full stop, ``todo`` another.
    """

    bad: bool
    what: str
    todo: str


def findings(snapshot: Snapshot, logs: Path | None = None) -> list[Finding]:
    """The worst first.

    Args:
        logs: of what runs on this machine; None: it runs elsewhere.
    """
    silent = {part.name for part in snapshot.parts if part.error_reason in _NOBODY}
    found = [
        *_silent(snapshot, silent, logs),
        *_refused(snapshot, silent),
        *_broker(snapshot, logs),
        *_databases(snapshot),
        *_not_serving(snapshot, logs),
        *_dead_letters(snapshot),
        *_nobody_works(snapshot, logs),
        *_held(snapshot),
        *_outboxes(snapshot),
        *_releases(snapshot),
    ]
    return sorted(found, key=lambda finding: not finding.bad)


def _silent(snapshot: Snapshot, silent: set[str], logs: Path | None) -> Iterator[Finding]:
    parts = [part for part in snapshot.parts if part.name in silent]
    if not parts:
        return
    where = ", ".join(dict.fromkeys(part.address for part in parts))
    what = (
        "no service answers" if len(parts) == len(snapshot.parts) else f"no answer from {_and(_names(parts))}"
    )
    log = logs / f"{parts[0].name}.log" if logs is not None and len(parts) == 1 else logs
    yield Finding(
        True,
        f"{what} at {where}",
        f"'autoisp up' starts again what ends; if this lasts, see {log}"
        if logs is not None
        else "check the address; if it is right, the log of the service says why",
    )


def _refused(snapshot: Snapshot, silent: set[str]) -> Iterator[Finding]:
    """What tells by itself what to do: wrong certificates, a missing token."""
    having: dict[tuple[str, str], list[Part]] = {}
    for part in snapshot.parts:
        if part.error and part.name not in silent:
            having.setdefault((part.error, part.error_reason), []).append(part)
    for (error, reason), parts in having.items():
        names = _and(_names(parts))
        if reason == ErrorCode.UNIMPLEMENTED.name:
            yield Finding(False, f"{names}: of a release that has no status", "upgrade when you can")
            continue
        what, _, todo = error.partition("; ")
        yield Finding(True, f"{names}: {what}", todo)


def _broker(snapshot: Snapshot, logs: Path | None) -> Iterator[Finding]:
    answering = [part for part in snapshot.parts if part.status is not None]
    without = [part for part in answering if part.away("nats")]
    if snapshot.broker is not None and without:
        error = without[0].away("nats")
        yield Finding(
            True, f"{_and(_names(without))}: {error}, though others reach it", "check the network between"
        )
    elif snapshot.broker is None and answering:
        error = next((part.away("nats") for part in without), "") or snapshot.broker_error
        how = (
            f"'autoisp up' starts it again if it ends; if this lasts, see {logs / 'nats-server.log'}"
            if logs is not None
            else "start it: one server, or more than half of a cluster's"
        )
        yield Finding(
            True,
            error or "NATS tells no service how it is",
            f"{how}. Until then nothing is handed out, and nothing is lost",
        )


def _databases(snapshot: Snapshot) -> Iterator[Finding]:
    having: dict[str, list[Part]] = {}
    for part in snapshot.parts:
        for dependency in part.status.dependencies if part.status is not None else ():
            if not dependency.ok and dependency.name != "nats":
                having.setdefault(f"{dependency.name}: {dependency.error}", []).append(part)
    for problem, parts in having.items():
        yield Finding(
            True,
            f"{_and(_names(parts))}: {problem}",
            "bring it back; the services go on by themselves",
        )


def _not_serving(snapshot: Snapshot, logs: Path | None) -> Iterator[Finding]:
    parts = [
        part
        for part in snapshot.parts
        if part.health == "not serving"
        and not (part.status is not None and (snapshot.broker is None or _lacking(part.status)))
    ]
    if parts:
        log = f" in {logs}" if logs is not None else ""
        yield Finding(
            True,
            f"{_and(_names(parts))}: not serving, though all it needs is there",
            f"it starts, or stops; if this lasts, see its log{log}",
        )


def _dead_letters(snapshot: Snapshot) -> Iterator[Finding]:
    count = snapshot.broker.dead_letters if snapshot.broker is not None else 0
    if count:
        yield Finding(
            False,
            f"{_count(count, 'message')} that nobody could handle",
            "autoisp dlq list: why, and what next",
        )


def _nobody_works(snapshot: Snapshot, logs: Path | None) -> Iterator[Finding]:
    commands = sum(waiting for _, waiting, _ in snapshot.commands())
    if not commands or snapshot.workers:
        return
    ours = f"'autoisp up' starts workers again that end; if this lasts, see {logs}"
    wait = "command waits" if commands == 1 else "commands wait"
    yield Finding(
        False,
        f"{commands} {wait}, and no worker answers",
        "start workers; where they are scaled by the queue, they should come soon" if logs is None else ours,
    )


def _held(snapshot: Snapshot) -> Iterator[Finding]:
    """Handed to a worker that has gone without a word: it looks as if idle workers let work lie."""
    held = snapshot.held
    if held and snapshot.workers:
        work, them = ("command is", "it") if held == 1 else ("commands are", "them")
        yield Finding(
            False,
            f"{held} {work} held for a worker that is gone, or for another attempt",
            f"wait: others get {them} after the ack wait, 30 s by default",
        )


def _outboxes(snapshot: Snapshot) -> Iterator[Finding]:
    for part in snapshot.parts:
        outbox = part.status.outbox if part.status is not None else None
        if outbox is not None and outbox.messages and outbox.oldest_age_seconds >= _OUTBOX_LATE_S:
            age = duration(outbox.oldest_age_seconds)
            wait = "event has waited" if outbox.messages == 1 else "events have waited"
            yield Finding(
                False,
                f"{part.name}: {outbox.messages} {wait} {age} to be sent",
                "they go out once NATS takes them; the log of the service says why not",
            )


def _releases(snapshot: Snapshot) -> Iterator[Finding]:
    having: dict[str, list[str]] = {}
    for process in snapshot.processes:
        if process.version:
            name = process.instance if process.service == "worker" else process.service
            having.setdefault(process.version, []).append(name)
    if len(having) > 1:
        least = min(having, key=lambda version: len(having[version]))
        yield Finding(
            False,
            f"{len(having)} releases run side by side: {', '.join(sorted(having))}",
            f"fine during an upgrade; {_and(sorted(set(having[least])))} of {least}",
        )


def _lacking(status: operations_pb2.ServiceStatus) -> bool:
    return any(not dependency.ok for dependency in status.dependencies)


def _names(parts: list[Part]) -> list[str]:
    return [part.name for part in parts]


def _and(names: list[str]) -> str:
    shown = names if len(names) <= _MOST_NAMES else [*names[:3], f"{len(names) - 3} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

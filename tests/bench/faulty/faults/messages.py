"""Messages that come twice, in another order, or mean nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from autoisp_runtime.jetstream import Command, Event, command_subject, event_subject
from autoisp_runtime.jetstream.topology import COMMAND_STREAM, EVENT_STREAM, WORKER_TRIALS, kind_of
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from faulty.faults.fault import Fault
from faulty.system import SERVICES, System
from faulty.tuning import SEARCH_ID, Tuning

_OUR_ID = "Nats-Msg-Id"
_BURIED_AGAIN_S = 60.0
_POISON = b"\xff\xff\xff"


@asynccontextmanager
async def _stream(system: System) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(system.brokers.url().split(","))
    yield connection.jetstream()
    await connection.close()


async def _messages(js: JetStreamContext, stream: str, after: int = 0) -> list[nats.js.api.RawStreamMsg]:
    state = (await js.stream_info(stream)).state
    found = []
    for sequence in range(max(1, state.first_seq, after + 1), state.last_seq + 1):
        try:
            found.append(await js.get_msg(stream, sequence))
        except NotFoundError:  # handled and gone
            continue
    return found


async def _again(js: JetStreamContext, message: nats.js.api.RawStreamMsg, copy: int) -> None:
    """Publish what JetStream would know for a repetition, under an id that it does not know."""
    headers = dict(message.headers or {})
    headers[_OUR_ID] = f"{headers.get(_OUR_ID, '')}.copy-{copy}-{message.seq}"
    await js.publish(message.subject or "", message.data or b"", headers=headers)


def _duplicated(system: System, _tuning: Tuning, _seconds: float) -> None:
    """Every command that waits and every event so far comes twice more, in any order."""

    async def strike() -> None:
        async with _stream(system) as js:
            for stream in (COMMAND_STREAM, EVENT_STREAM):
                copies = 2 * [*await _messages(js, stream)]
                random.Random(1).shuffle(copies)
                for number, message in enumerate(copies):
                    await _again(js, message, number)

    asyncio.run(strike())


def _reordered(system: System, tuning: Tuning, _seconds: float) -> None:
    """The commands that wait are turned round, and events come backwards, the first one last."""

    async def turn(js: JetStreamContext, stream: str, after: int) -> None:
        messages = await _messages(js, stream, after)
        for message in reversed(messages):
            await _again(js, message, 0)
        for message in messages:
            await js.delete_msg(stream, message.seq or 0)

    async def strike() -> None:
        async with _stream(system) as js:
            delivered = (await js.consumer_info(COMMAND_STREAM, WORKER_TRIALS.durable)).delivered
            assert delivered is not None
            await turn(js, COMMAND_STREAM, delivered.stream_seq)
            # While the service stands still the events gather that it gets backwards.
            before = (await js.stream_info(EVENT_STREAM)).state.last_seq
            os.kill(system.pid("search"), signal.SIGSTOP)
            try:
                await asyncio.sleep(4)
                await turn(js, EVENT_STREAM, before)
            finally:
                os.kill(system.pid("search"), signal.SIGCONT)

    asyncio.run(strike())


def _poisoned(system: System, _tuning: Tuning, _seconds: float) -> None:
    """Commands and events that can't be decoded, or are about nothing that exists."""

    async def strike() -> None:
        async with _stream(system) as js:
            for subject in POISONED:
                await js.publish(subject, _POISON)

    asyncio.run(strike())


POISONED = (
    command_subject(Command.TRIAL_RUN, f"{SEARCH_ID}-r0-9999"),
    command_subject(Command.EVALUATION_RUN, "poison"),
    command_subject(Command.PROTOTYPE_PROFILE, "poison"),
    command_subject(Command.MODEL_VERSION_CONVERT, "poison"),
    event_subject(Event.TRIAL_COMPLETED, f"{SEARCH_ID}-r0-9999"),
    event_subject(Event.PROTOTYPE_PROFILED, "poison"),
    event_subject(Event.EVALUATION_CLIP_JUDGED, "poison"),
    event_subject(Event.EVALUATION_COMPLETED, "poison"),
    event_subject(Event.SEARCH_COMPLETED, "poison"),
)
"""Where a message of bytes that mean nothing is put."""


def _unburied(system: System) -> list[str]:
    """What ``autoisp dlq`` does not show, or does not send again."""
    wanted = sorted((kind_of(subject), subject.rpartition(".")[2]) for subject in POISONED)
    letters = _dead_letters(system, "list")
    shown = sorted((letter["kind"], letter["resource_id"]) for letter in letters)
    if shown != wanted:
        return [f"autoisp dlq list shows {shown} of {wanted}"]
    sent = _dead_letters(system, "replay", "--all")
    deadline = time.monotonic() + _BURIED_AGAIN_S
    while len(letters := _dead_letters(system, "list")) < 2 * len(wanted):
        if time.monotonic() > deadline:
            return [f"{len(sent)} were replayed, and {len(letters) - len(wanted)} of them died again"]
        time.sleep(1)
    replayed = sum("replay" in letter for letter in letters)
    return [] if replayed == len(wanted) else [f"{replayed} of {len(wanted)} letters tell of their replay"]


def _dead_letters(system: System, *words: str) -> list[dict[str, Any]]:
    server = ",".join(f"{service}={system.address(service)}" for service in SERVICES)
    command = [sys.executable, "-m", "autoisp_cli", "dlq", *words, "--server", server, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


FAULTS = (
    Fault("duplicated", "every waiting command and every event twice more, shuffled", _duplicated),
    Fault("reordered", "waiting commands and gathered events in reverse", _reordered),
    Fault(
        "poison",
        "messages that nobody can decode",
        _poisoned,
        dead_letters=len(POISONED),
        wrong=_unburied,
    ),
)

"""What database, event stream, store and logs say at the end, read past the services that are under test."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import nats
from autoisp.events.v1 import events_pb2
from autoisp_runtime.jetstream.topology import DEAD_LETTER_STREAM, EVENT_STREAM
from google.protobuf.message import DecodeError

from faulty.system import System

_ENDED = ("SUCCEEDED", "FAILED", "PRUNED", "CANCELLED")
_COMPLETED, _REPORTED = "autoisp.v1.evt.trial.completed.", "autoisp.v1.evt.trial.reported."
_TRAINED = re.compile(r'^\{"trial": "([^"]+)", "state": "SUCCEEDED".*"event": "trial"', re.MULTILINE)


@dataclass
class Ledger:
    """All that is known of a search.

    Attributes:
        trials: the rows of its trials, as their documents.
        told: how many results its row says it was told.
        announced: of each trial, each result that was announced and how often.
        trained: how often a worker said that it trained each trial to its end.
    """

    trials: list[dict[str, Any]]
    told: int
    announced: dict[str, Counter[bytes]]
    trained: Counter[str]
    reports: int = 0
    dead_letters: int = 0
    results: set[str] = field(default_factory=set)

    def lost(self, wanted: int) -> list[str]:
        """Trials that are not there, or have not ended, or whose result is in the store but in no row."""
        ids = {trial["trial_id"] for trial in self.trials}
        ended = {trial["trial_id"] for trial in self.trials if trial["state"] in _ENDED}
        missing = [f"trial {index + 1} of {wanted}" for index in range(len(self.trials), wanted)]
        return missing + sorted(ids - ended) + sorted(self.results - ended)

    def recorded_twice(self) -> list[str]:
        """Results that counted twice: numbers given twice or left out, and trials that ended in two ways.

        Each result that is recorded takes the search's next number; a second one would take another.
        """
        numbers = sorted(trial["told"] for trial in self.trials if trial["told"] is not None)
        wrong = set(range(1, self.told + 1)).symmetric_difference(numbers)
        found = [f"result {number} of {self.told}" for number in sorted(wrong)]
        found += [f"result {number} twice" for number, count in Counter(numbers).items() if count > 1]
        return found + [f"{name}: two results" for name, kinds in self.announced.items() if len(kinds) > 1]

    @property
    def announced_again(self) -> int:
        """Announcements of a result that had been announced."""
        return sum(kinds.total() - 1 for kinds in self.announced.values())

    @property
    def done_again(self) -> int:
        """Trials that were trained to their end although that had been done: time lost, nothing else."""
        return sum(count - 1 for count in self.trained.values())


def read(system: System, search_id: str) -> Ledger:
    """The ledger of a search; database and brokers must be up."""
    return asyncio.run(_read(system, search_id))


async def _read(system: System, search_id: str) -> Ledger:
    database = await asyncpg.connect(system.database.replace("+asyncpg", ""))
    try:
        table = await _schema(database)
        told = await database.fetchval(
            f"SELECT document->>'told' FROM {table}searches WHERE search_id = $1", search_id
        )
        rows = await database.fetch(
            f"SELECT trial_id, document FROM {table}trials WHERE search_id = $1", search_id
        )
    finally:
        await database.close()
    trained: Counter[str] = Counter()
    for name in system.workers:
        trained.update(_TRAINED.findall(system.log(name)))
    results = system.folder / "state/artifacts/results/trials" / search_id
    trials = [{"trial_id": row["trial_id"], **json.loads(row["document"])} for row in rows]
    ledger = Ledger(trials, int(told), {}, trained)
    ledger.results = {path.name for path in results.glob("r*")}
    await _read_streams(system, ledger)
    return ledger


async def _schema(database: asyncpg.Connection) -> str:
    schema = await database.fetchval("SELECT schemaname FROM pg_tables WHERE tablename = 'trials'")
    return f'"{schema}".'


async def _read_streams(system: System, ledger: Ledger) -> None:
    connection = await nats.connect(system.brokers.url().split(","))
    js = connection.jetstream()
    state = (await js.stream_info(EVENT_STREAM)).state
    for sequence in range(max(1, state.first_seq), state.last_seq + 1):
        try:
            message = await js.get_msg(EVENT_STREAM, sequence)
        except nats.js.errors.NotFoundError:  # a fault took it out
            continue
        subject, data = message.subject or "", message.data or b""
        ledger.reports += subject.startswith(_REPORTED)
        if subject.startswith(_COMPLETED):
            try:
                trial = events_pb2.TrialCompleted.FromString(data).trial
            except DecodeError:  # poison
                continue
            ledger.announced.setdefault(trial.name, Counter())[data] += 1
    ledger.dead_letters = (await js.stream_info(DEAD_LETTER_STREAM)).state.messages
    await connection.close()

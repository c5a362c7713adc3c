"""1, 2 and 4 workers on simulated trials, with 10,000 of them in the queue: what the control plane costs.

Usage: python tests/bench/scale.py [--quick] [--database sqlite postgresql] [--again]

Ten searches of 1,000 trials each (60 in quick mode) are queued with no worker there, and after each the
sizes of queue and database are noted: they should grow in line. Then come one, two and four workers of 8
slots (sleeping_worker.py), each stage from when all slots are busy. Efficiency is what was slept in a stage
over what so many slots could have slept. The CPU of search service, broker and database is read from /proc
around each stage. Four workers whose trials sleep a second then drain the queue; sizes are noted on the way.
Results go to tests/bench/results/scale.json after each database; one that is there is not measured again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import numpy as np
import psutil
import structlog
from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import events_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Event, NatsConnection, Publisher, event_subject
from autoisp_runtime.jetstream.topology import (
    COMMAND_STREAM,
    EVENT_STREAM,
    SEARCH_RESULTS,
    WORKER_TRIALS,
    ConsumerSpec,
)
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer, postgres_server
from autoisp_testing.processes import ServiceProcess
from google.protobuf.timestamp_pb2 import Timestamp
from nats.js.api import ConsumerInfo
from record import record

sys.path.append(str(Path(__file__).parents[1] / "integration"))
from search_worker import store_dataset

_HERE = Path(__file__).parent
_SLOTS = 8
_STAGES = (1, 2, 4)
_SEARCHES = 10
# Trials of each search, seconds of each trial in the stages, seconds of a stage.
_FULL, _QUICK = (1000, 4.0, 40.0), (60, 2.0, 12.0)
# What drains the queue sleeps less, or ten thousand trials would take twenty minutes.
_DRAIN_TRIAL_S = 1.0
_UNITS = 1000
_STAGE_WORKER, _DRAIN_WORKER = "sleeper", "drainer"


@dataclass(frozen=True)
class Stage:
    """What was seen of a stage; what it achieved is known once its last trials are recorded.

    Attributes:
        workers: how many.
        began: Unix time.
        seconds: how long it lasted.
        cpu: seconds of processor time in it, by part of the control plane.
        unhandled: events that waited for the search service at its end.
    """

    workers: int
    began: float
    seconds: float
    cpu: Mapping[str, float]
    unhandled: int


class Stopwatch:
    """How long each part took."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """The part of this name has ended."""
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 1)
        print(f"{name} took {self.laps[name]} s", flush=True)
        self._last = now


class Plant:
    """One search service with its broker and database, and workers beside it."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder = folder
        self._database = database
        self._trial_s = 1.0
        self._stack = ExitStack()
        self.workers: list[ServiceProcess] = []

    def __enter__(self) -> Plant:
        with ExitStack() as stack:
            self._nats = stack.enter_context(NatsServer(self._folder / "nats"))
            self._settings: dict[str, object] = {"nats_url": self._nats.url, "log_level": "warning"}
            self._postgres: PostgresServer | None = None
            self._settings["store_url"] = (self._folder / "artifacts").as_uri()
            settings = dict(self._settings)
            if self._database == "postgresql":
                self._postgres = stack.enter_context(postgres_server(self._folder / "postgres"))
                settings["database_url"] = self._url = self._postgres.new_database()
            self._search = ServiceProcess("autoisp_search", self._folder, **settings)
            stack.enter_context(self._search.start())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        for worker in self.workers:
            worker.kill()
        self._stack.close()

    @contextmanager
    def stub(self) -> Iterator[search_pb2_grpc.SearchServiceStub]:
        with grpc.insecure_channel(self._search.address) as channel:
            yield search_pb2_grpc.SearchServiceStub(channel)

    def sleep_for(self, trial_s: float) -> None:
        """How long each trial of workers hired from now on sleeps."""
        self._trial_s = trial_s

    def hire(self, count: int, name: str = _STAGE_WORKER) -> None:
        """Have so many workers."""
        while len(self.workers) < count:
            worker = ServiceProcess(
                "sleeping_worker",
                self._folder,
                **self._settings,
                slots=_SLOTS,
                trial_seconds=self._trial_s,
                stop_grace_seconds=self._trial_s + 5,
                worker_id=f"{name}-{len(self.workers) + 1}",
            )
            self.workers.append(worker.start())

    def dismiss(self) -> None:
        """Let all workers end what they do, and go."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda worker: worker.stop(), self.workers))
        self.workers.clear()

    def all_busy(self, timeout_s: float = 120.0) -> None:
        """Wait until every slot has a trial.

        Raises:
            TimeoutError: one still has none.
        """
        deadline, slots = time.monotonic() + timeout_s, len(self.workers) * _SLOTS
        while (busy := self._consumer(COMMAND_STREAM, WORKER_TRIALS).num_ack_pending or 0) < slots:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{busy} of {slots} slots have a trial")
            time.sleep(0.1)

    def unhandled(self) -> int:
        """Reports and results that the search service has not handled yet."""
        info = self._consumer(EVENT_STREAM, SEARCH_RESULTS)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    def _consumer(self, stream: str, spec: ConsumerSpec) -> ConsumerInfo:
        async def ask() -> ConsumerInfo:
            connection = await NatsConnection.open(self._nats.url)
            try:
                return await connection.js.consumer_info(stream, spec.durable)
            finally:
                await connection.close()

        return asyncio.run(ask())

    def profile(self, search_id: str) -> None:
        """Say in a worker's place what the prototype costs, so that a search's trials are queued."""
        profile = prototype_pb2.PrototypeProfile(
            cost=common_pb2.Cost(seconds_per_megapixel=5.0),
            quality=common_pb2.Quality(psnr_db=25.0, ssim=0.7),
            frames=5,
            inputs=["raw", "gains", "noise"],
        )
        event = events_pb2.PrototypeProfiled(search=f"searches/{search_id}", profile=profile)

        async def publish() -> None:
            connection = await NatsConnection.open(self._nats.url)
            subject = event_subject(Event.PROTOTYPE_PROFILED, search_id)
            await Publisher(connection, "scale").publish(subject, event.SerializeToString(), search_id)
            await connection.close()

        asyncio.run(publish())

    def handled(self, event: Event, messages: Sequence[Any]) -> dict[str, float]:
        """Publish all at once; how quickly they are handled, and at what cost."""

        async def publish() -> None:
            connection = await NatsConnection.open(self._nats.url)
            publisher = Publisher(connection, "scale")
            for number, message in enumerate(messages):
                subject = event_subject(event, f"u-{number}")
                await publisher.publish(subject, message.SerializeToString(), f"{event}-{number}")
            connection_js, durable = connection.js, SEARCH_RESULTS.durable
            while True:
                info = await connection_js.consumer_info(EVENT_STREAM, durable)
                if not info.num_pending and not info.num_ack_pending:
                    break
                await asyncio.sleep(0.05)
            await connection.close()

        begun, cpu = time.monotonic(), self.cpu()
        asyncio.run(publish())
        took, spent = time.monotonic() - begun, _spent(cpu, self.cpu())
        return {
            "per_s": round(len(messages) / took, 1),
            **{f"{name}_cpu_ms": round(1e3 * value / len(messages), 2) for name, value in spent.items()},
        }

    def cpu(self) -> dict[str, float]:
        """Seconds of processor time so far of each part of the control plane."""
        found = {"search": _cpu(self._search.pid), "nats": _cpu(self._nats.pid)}
        if self._postgres is not None:
            process = psutil.Process(self._postgres.pid)
            # The backends' times come to their parent when they end; while they live they are its children.
            ended = process.cpu_times()
            found["postgresql"] = _cpu(process.pid) + ended.children_user + ended.children_system
            found["postgresql"] += sum(_cpu(each.pid) for each in process.children())
        return found

    def sizes(self) -> dict[str, float]:
        """Bytes of the streams and of the database."""
        found = asyncio.run(self._streams())
        if self._postgres is None:
            files = [self._folder / f"search.db{end}" for end in ("", "-wal")]
            found["database_bytes"] = sum(file.stat().st_size for file in files if file.exists())
        else:
            found["database_bytes"] = asyncio.run(_postgres_bytes(self._url))
        return found

    async def _streams(self) -> dict[str, float]:
        connection = await NatsConnection.open(self._nats.url)
        found: dict[str, float] = {}
        for name, stream in (("queue", COMMAND_STREAM), ("events", EVENT_STREAM)):
            state = (await connection.js.stream_info(stream)).state
            found |= {f"{name}_messages": state.messages, f"{name}_bytes": state.bytes}
        await connection.close()
        return found


async def _postgres_bytes(url: str) -> int:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    size = await connection.fetchval("SELECT pg_database_size(current_database())")
    await connection.close()
    return int(size)


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def queue_up(plant: Plant, dataset: str, trials: int, searches: int = _SEARCHES) -> list[dict[str, float]]:
    """So many searches, all of whose trials wait; the sizes after each."""
    grown = [{"trials": 0.0, **plant.sizes()}]
    with plant.stub() as stub:
        for number in range(searches):
            begun, cpu = time.monotonic(), plant.cpu()
            search = search_pb2.Search(
                dataset=dataset,
                prototype=prototype_pb2.Prototype(builtin="classical"),
                budget=search_pb2.Budget(macs_per_pixel=3000),
                rungs=[search_pb2.Rung(trials=trials, steps=100)],
                max_parallel_trials=trials,
                strategy="random",
                objectives=["quality", "macs"],
                seed=number,
            )
            stub.CreateSearch(search_pb2.CreateSearchRequest(search_id=_name(number), search=search))
            plant.profile(_name(number))
            wanted = (number + 1) * trials
            commands = wanted + number + 1  # each search's profile is commanded too, and done already
            while (sizes := plant.sizes())["queue_messages"] < commands:
                time.sleep(0.2)
            grown.append(
                {
                    "trials": float(wanted),
                    **sizes,
                    "seconds": round(time.monotonic() - begun, 2),
                    "cpu_ms_per_trial": round(1e3 * _spent(cpu, plant.cpu())["all"] / trials, 2),
                }
            )
            print(f"queued {wanted}: {grown[-1]}", flush=True)
    return grown


def unit_costs(database: str, events: int) -> dict[str, Any]:
    """What the search service makes of reports and of results when they come faster than it handles them."""
    with tempfile.TemporaryDirectory(prefix="autoisp-scale-") as name:
        folder = Path(name)
        dataset = store_dataset(ArtifactStore((folder / "artifacts").as_uri()))
        with Plant(folder, database) as plant:
            queue_up(plant, dataset, events, searches=1)
            with plant.stub() as stub:
                request = search_pb2.ListTrialsRequest(parent=f"searches/{_name(0)}", page_size=1000)
                trials = list(stub.ListTrials(request).trials)[:events]
            reports = [events_pb2.TrialReported(trial=trial.name, worker="w", steps=1) for trial in trials]
            results = [events_pb2.TrialCompleted(trial=_completed(trial)) for trial in trials]
            return {
                "report": plant.handled(Event.TRIAL_REPORTED, reports),
                "result": plant.handled(Event.TRIAL_COMPLETED, results),
            }


def _completed(trial: search_pb2.Trial) -> search_pb2.Trial:
    fake = common_pb2.Artifact(uri="blobs/x", sha256="a" * 64, size_bytes=1)
    luck = hash(trial.spec) % 1000 / 1000
    return search_pb2.Trial(
        name=trial.name,
        state=search_pb2.TRIAL_STATE_SUCCEEDED,
        cost=common_pb2.Cost(macs_per_pixel=1000, parameters=1, size_bytes=1, seconds_per_megapixel=0.01),
        quality=common_pb2.Quality(psnr_db=25 + luck, ssim=0.8),
        onnx=fake,
        checkpoint=fake,
        worker="w",
    )


def recorded(plant: Plant) -> int:
    """Trials that ended, over all searches."""
    with plant.stub() as stub:
        found = stub.ListSearches(search_pb2.ListSearchesRequest(page_size=100)).searches
    return sum(search.trial_counts.succeeded + search.trial_counts.failed for search in found)


def _name(number: int) -> str:
    return f"scale-{number}"


def _spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    spent = {name: after[name] - before[name] for name in after}
    return spent | {"all": sum(spent.values())}


def stage(plant: Plant, workers: int, seconds: float) -> Stage:
    """So many workers for a while, from when all their slots are busy."""
    plant.hire(workers)
    plant.all_busy()
    began, begun, cpu = datetime.now(UTC), time.monotonic(), plant.cpu()
    time.sleep(seconds)
    took, spent = time.monotonic() - begun, _spent(cpu, plant.cpu())
    return Stage(workers, began.timestamp(), took, spent, plant.unhandled())


def drain(plant: Plant, total: int) -> dict[str, Any]:
    """To the end; the sizes on the way."""
    begun, cpu, before = time.monotonic(), plant.cpu(), recorded(plant)
    grown = [{"trials": float(before), **plant.sizes()}]
    done = before
    while done < total:
        time.sleep(2)
        done = recorded(plant)
        if done - grown[-1]["trials"] >= total / 10 or done >= total:
            grown.append({"trials": float(done), **plant.sizes()})
            print(f"recorded {done}: {grown[-1]}", flush=True)
    took, spent = time.monotonic() - begun, _spent(cpu, plant.cpu())
    return {
        "trials": done - before,
        "trial_seconds": _DRAIN_TRIAL_S,
        "seconds": round(took, 1),
        "trials_per_s": round((done - before) / took, 2),
        "cpu_ms_per_trial": _per_trial(spent, done - before),
        "growth": grown,
    }


def ended_trials(plant: Plant) -> list[search_pb2.Trial]:
    """Every trial of every search, as recorded."""
    found: list[search_pb2.Trial] = []
    with plant.stub() as stub:
        for number in range(_SEARCHES):
            request = search_pb2.ListTrialsRequest(parent=f"searches/{_name(number)}", page_size=1000)
            while True:
                page = stub.ListTrials(request)
                found += page.trials
                if not page.next_page_token:
                    break
                request.page_token = page.next_page_token
    return found


def efficiency(stage: Stage, trials: Sequence[search_pb2.Trial], trial_s: float) -> dict[str, Any]:
    """What a stage achieved, of recorded trials: each counts by the part of it that lies within the stage.

    Whole trials would be counted in waves, since the slots of a worker begin together. A trial counts as long
    as it should sleep, not as long as it took: what made it late is lost.
    """
    end, done = stage.began + stage.seconds, 0.0
    for trial in trials:
        first, last = _seconds(trial.start_time), _seconds(trial.end_time)
        if trial.worker.startswith(_STAGE_WORKER) and last > first:
            done += max(0.0, min(last, end) - max(first, stage.began)) / (last - first)
    slots = stage.workers * _SLOTS
    return {
        "workers": stage.workers,
        "slots": slots,
        "seconds": round(stage.seconds, 1),
        "trials": round(done, 1),
        "trials_per_s": round(done / stage.seconds, 2),
        "efficiency": round(done * trial_s / (slots * stage.seconds), 4),
        "cores_used": {name: round(value / stage.seconds, 3) for name, value in stage.cpu.items()},
        "cpu_ms_per_trial": _per_trial(stage.cpu, done),
        "events_not_handled_at_end": stage.unhandled,
    }


def _seconds(stamp: Timestamp) -> float:
    return stamp.seconds + stamp.nanos / 1e9


def _per_trial(spent: Mapping[str, float], trials: float) -> dict[str, float]:
    return {name: round(1e3 * value / max(1.0, trials), 2) for name, value in spent.items()}


def line(grown: Sequence[dict[str, float]], key: str) -> dict[str, float]:
    """The straight line through a size over trials: its slope, and how far the worst point is off it."""
    trials = np.array([each["trials"] for each in grown])
    sizes = np.array([each[key] for each in grown])
    slope, offset = np.polyfit(trials, sizes, 1)
    off = np.abs(slope * trials + offset - sizes).max()
    spread = float(np.corrcoef(trials, sizes)[0, 1] ** 2) if np.ptp(sizes) else 1.0
    return {
        "bytes_per_trial": round(float(slope), 1),
        "r_squared": round(spread, 5),
        "worst_off": round(float(off / max(1.0, np.ptp(sizes))), 4),
    }


def measure(database: str, trials: int, trial_s: float, seconds: float) -> dict[str, Any]:
    """All of it on one database."""
    with tempfile.TemporaryDirectory(prefix="autoisp-scale-") as name:
        folder, took = Path(name), Stopwatch()
        dataset = store_dataset(ArtifactStore((folder / "artifacts").as_uri()))
        with Plant(folder, database) as plant:
            queued = queue_up(plant, dataset, trials)
            took.lap("queueing")
            plant.sleep_for(trial_s)
            stages = [stage(plant, workers, seconds) for workers in _STAGES]
            took.lap("stages")
            plant.dismiss()
            plant.sleep_for(_DRAIN_TRIAL_S)
            plant.hire(max(_STAGES), _DRAIN_WORKER)
            drained = drain(plant, trials * _SEARCHES)
            took.lap("draining")
            ended = ended_trials(plant)
        units = unit_costs(database, min(trials, _UNITS))
        took.lap("units")
    figures = [efficiency(each, ended, trial_s) for each in stages]
    return {
        "seconds": took.laps,
        "units": units,
        "trials": trials * _SEARCHES,
        "trial_seconds": trial_s,
        "stages": figures,
        "queued": queued,
        "drained": drained,
        "lines": {
            "queue_while_queueing": line(queued, "queue_bytes"),
            "database_while_queueing": line(queued, "database_bytes"),
            "database_while_draining": line(drained["growth"], "database_bytes"),
            "events_while_draining": line(drained["growth"], "events_bytes"),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="600 trials; into scale_quick.json")
    parser.add_argument(
        "--database", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"]
    )
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    # A connection a second is opened here, and each would say so.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_HERE), os.environ.get("PYTHONPATH", "")])
    bench = "scale_quick" if chosen.quick else "scale"
    kept = _HERE / "results" / f"{bench}.json"
    databases = json.loads(kept.read_text())["databases"] if kept.exists() and not chosen.again else {}
    for database in chosen.database:
        if database not in databases:
            databases[database] = measure(database, *(_QUICK if chosen.quick else _FULL))
            record(bench, {"databases": databases}, quiet=True)
        for each in databases[database]["stages"]:
            print(database, each)
        print(database, databases[database]["units"], databases[database]["lines"])


if __name__ == "__main__":
    main()

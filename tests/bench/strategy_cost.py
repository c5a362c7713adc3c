"""What choosing costs: time per ask and tell, and memory, after 1,000 and 10,000 trials.

Usage: python tests/bench/strategy_cost.py [--trials N] [STRATEGY ...]

Each strategy runs twice in a process of its own: alone, and as a whole search service over SQLite (what a
result costs from its arrival to the commands that follow it, written). Times are the process's processor
time, which other work on the machine disturbs little. A trial takes 12 seconds or more; the service is to
take less than 1 % of that. What was measured of other strategies before stays in the results.
"""

import argparse
import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from autoisp_core.artifact import Artifact
from autoisp_core.spec import SearchSpace, Spec, cost
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate
from autoisp_runtime.outbox import Outbox
from autoisp_search.bus import OutboxSender
from autoisp_search.domain import (
    Budget,
    MeasuredCost,
    Objective,
    Prototype,
    PrototypeProfile,
    Quality,
    Rung,
    Search,
    SearchSettings,
    TrialResult,
    TrialState,
)
from autoisp_search.store import SqlSearchStore, outbox
from autoisp_search.strategies import STRATEGIES, Task, TrialOutcome
from autoisp_search.strategies.budgets import MacBudget
from autoisp_search.strategies.latency import reference_seconds
from autoisp_search.usecases import Changes, LiveSearches, ResultHandlers
from record import record

MARKS = (1_000, 10_000)
WINDOW = 200
"""Trials before a mark whose times count."""
LIMIT = 2_000.0
TRIAL_SECONDS = 12.0
OBJECTIVES = (Objective.QUALITY, Objective.MACS)
RESULTS = Path(__file__).parent / "results" / "strategy_cost.json"
START = datetime(2030, 1, 1, tzinfo=UTC)
ARTIFACT = Artifact("blobs/aa/" + "a" * 64, "a" * 64, 100_000, "application/onnx")


class Meter:
    """Collects times, and says at each mark what they and the memory are."""

    def __init__(self) -> None:
        self._begin_mib = _resident_mib()
        self._times: list[float] = []
        self.figures: dict[str, Any] = {}

    def add(self, seconds: float) -> None:
        """One more trial."""
        self._times.append(seconds)
        if len(self._times) in MARKS:
            window = self._times[-WINDOW:]
            self.figures[str(len(self._times))] = {
                "mean_ms": round(1e3 * statistics.mean(window), 2),
                "median_ms": round(1e3 * statistics.median(window), 2),
                "slowest_ms": round(1e3 * max(window), 2),
                "percent_of_trial": round(100 * statistics.mean(window) / TRIAL_SECONDS, 3),
                "grown_mib": round(_resident_mib() - self._begin_mib, 1),
            }


def alone(name: str, trials: int) -> dict[str, Any]:
    """The strategy and nothing else."""
    strategy = STRATEGIES[name](
        Task(MacBudget(SearchSpace(), LIMIT), objectives=OBJECTIVES, planned=trials, reference_db=25.0)
    )
    meter = Meter()
    for ordinal in range(1, trials + 1):
        begin = time.process_time()
        spec = strategy.ask(ordinal)
        strategy.tell(spec, TrialOutcome(_quality(spec), reference_seconds(spec)))
        strategy.figures()
        meter.add(time.process_time() - begin)
    return meter.figures


async def served(name: str, trials: int, folder: Path) -> dict[str, Any]:
    """A search of two rungs, from each result's arrival to what follows it."""
    database = Database(f"sqlite+aiosqlite:///{folder / 'search.db'}")
    await migrate(database, "autoisp_search.migrations")
    sender = Outbox(database, outbox)
    store = SqlSearchStore(database, OutboxSender(sender))
    now = START
    handlers = ResultHandlers(store, LiveSearches(), Changes(), lambda: now)
    settings = SearchSettings(
        "datasets/d",
        Prototype(builtin="classical"),
        Budget(macs_per_pixel=LIMIT),
        "models/m",
        strategy=name,
        objectives=OBJECTIVES,
        rungs=(Rung(trials, steps=1), Rung(trials // 8, steps=1)),
        max_parallel_trials=2,
    )
    search = Search("s", settings, ARTIFACT, settings.rungs, False, START)
    async with store.transaction() as transaction:
        await transaction.insert(search, "")
    profile = PrototypeProfile(MeasuredCost(1e5, 1, 1, 5.0), Quality(25.0, 0.7))
    await handlers.profiled("s", profile)
    meter, waiting = Meter(), list(await store.trials_page("s", None, 9))
    revision = 0
    for _ in range(trials):
        trial = waiting.pop(0)
        spec = Spec.from_json(trial.spec)
        now += timedelta(seconds=TRIAL_SECONDS)
        result = TrialResult(
            TrialState.SUCCEEDED,
            cost=MeasuredCost(cost(spec).macs_per_pixel, 1, 1, reference_seconds(spec)),
            quality=Quality(_quality(spec) + trial.rung, 0.9),
            onnx=ARTIFACT,
            checkpoint=ARTIFACT,
            train_seconds=TRIAL_SECONDS - 2,
            worker="w",
            start_time=now - timedelta(seconds=TRIAL_SECONDS),
            end_time=now,
        )
        begin = time.process_time()
        await handlers.completed("s", trial.trial_id, result)
        meter.add(time.process_time() - begin)
        async with store.transaction() as transaction:
            changed = await transaction.search("s")
        assert changed
        found = await store.changed("s", max(revision, changed.revision - 1))
        revision = changed.revision
        waiting += [t for t in (found[1] if found else ()) if not t.state.final]
    await database.close()
    return meter.figures


def _quality(spec: Spec) -> float:
    """A made-up, repeatable PSNR: more MAC help, the block decides the rest."""
    luck = int(hashlib.sha256(spec.to_json().encode()).hexdigest()[:6], 16) / 0xFFFFFF
    return 22 + min(4.0, cost(spec).macs_per_pixel / 500) + 4 * luck


def _resident_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError("this bench reads /proc, so it needs Linux")


def _in_own_process(what: str, name: str, trials: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--only", what, "--trials", str(trials), name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measures all strategies, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("strategies", nargs="*", default=sorted(STRATEGIES))
    parser.add_argument("--trials", type=int, default=MARKS[-1])
    parser.add_argument("--only", choices=("alone", "served"), help="print this, and record nothing")
    options = parser.parse_args()
    if options.only == "alone":
        print(json.dumps(alone(options.strategies[0], options.trials)))
    elif options.only == "served":
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(served(options.strategies[0], options.trials, Path(folder)))))
    else:
        known = json.loads(RESULTS.read_text())["strategies"] if RESULTS.exists() else {}
        for name in options.strategies:
            known[name] = {what: _in_own_process(what, name, options.trials) for what in ("alone", "served")}
        record("strategy_cost", {"trial_seconds": TRIAL_SECONDS, "window": WINDOW, "strategies": known})


if __name__ == "__main__":
    main()

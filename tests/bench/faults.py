"""What the system makes of faults: real processes, one fault a run, and nothing missing or twice at the end.

Usage: python tests/bench/faults.py [--quick] [--sleep] [--runs N] [--only NAME ...] [--again]

A run is a 3-node NATS cluster, PostgreSQL, the four services and two workers with a search of tiny trials.
After the third trial the fault strikes; then search, evaluation and registration must end as if nothing had
been. Results go to tests/bench/results/faults.json after each run, and what is there is not run again. Needs
root for mounts and network namespaces, and libfaketime for the clock; a fault without them is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from faulty.faults import FAULTS, Fault
from faulty.system import System
from faulty.tuning import Tuning
from record import record

_RESULTS = Path(__file__).parent / "results"
# Enough that the search goes on when the fault is over, where work goes on during it.
_TRIALS, _QUICK_TRIALS, _STEPS = 48, 14, 120
_STRIKES_AFTER = 3
_WORKERS = 2
_SETTINGS = {"ack_wait_seconds": "4", "checkpoint_seconds": "0.2", "slots": "1", "trial_seconds": "1"}
_END_S = 240.0
_COUNTED = ("lost", "recorded_twice", "done_again", "resumed")
_WORKER, _SLEEPING = "autoisp_worker", "sleeping_worker"


def run(fault: Fault, seconds: float, trials: int, worker: str) -> dict[str, Any]:
    """One run; what was seen."""
    with tempfile.TemporaryDirectory(prefix="autoisp-faults-") as name:
        folder = Path(name) / "system"
        begun = time.monotonic()
        with fault.prepare(folder) as placing, System(folder, _WORKERS, placing, _SETTINGS, worker) as system:
            tuning = Tuning(system, trials, _STEPS)
            tuning.start(Path(name) / "footage")
            tuning.until(_STRIKES_AFTER)
            struck = time.monotonic()
            fault.strike(system, tuning, seconds)
            ended = time.monotonic()
            try:
                outcome = tuning.finish(
                    _END_S + seconds, registered=worker == _WORKER, dead_letters=fault.dead_letters
                )
            except BaseException:
                _keep_logs(system)
                raise
            outcome["wrong"] += fault.wrong(system)
            outcome |= tuning.recovery(struck, ended)
            outcome["fault_s"] = round(ended - struck, 1)
            outcome["whole_s"] = round(time.monotonic() - begun, 1)
            outcome["notes"] = list(system.notes)
            outcome["ok"] = _ok(outcome, fault, trials, worker)
            if not outcome["ok"]:
                _keep_logs(system)
            return outcome


def _ok(outcome: dict[str, Any], fault: Fault, trials: int, worker: str) -> bool:
    return bool(
        outcome["succeeded"]
        and outcome["trials"] == trials == outcome["results"]
        and not outcome["failed"]
        and outcome["lost"] == outcome["recorded_twice"] == 0
        and not outcome["wrong"]
        and (outcome["versions"] == 1 or worker == _SLEEPING)
        and outcome["dead_letters"] == fault.dead_letters
        # Else the search was over before the fault was, and nothing is known of how it recovers.
        and outcome["trials_after"] > 0
    )


def _keep_logs(system: System) -> None:
    kept = Path(tempfile.mkdtemp(prefix="autoisp-faults-logs-"))
    for log in (*(system.folder / "logs").iterdir(), *system.brokers.folder.glob("*.log")):
        (kept / log.name).write_bytes(log.read_bytes())
    print(f"logs: {kept}; notes: {system.notes}")


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """The fault table: one line per fault."""
    titles = ("runs", "lost", "twice", "again", "resumed", "winner", "trial s", "in hand s", "serving s")
    lines = ["fault".ljust(24) + "".join(map(_cell, titles))]
    standard = (runs.get("none") or [{}])[0]
    for name, outcomes in runs.items():
        complete = [outcome for outcome in outcomes if "lost" in outcome]
        broken = len(outcomes) - len(complete)
        cells = (
            len(outcomes),
            *(sum(outcome[key] for outcome in complete) for key in _COUNTED),
            _winner(complete, standard),
            *(_middle(complete, key) for key in ("next_trial_s", "in_hand_s", "serving_s")),
        )
        lines.append(
            f"{name:24}"
            + "".join(map(_cell, cells))
            + ("" if all(outcome.get("ok") for outcome in outcomes) else f"  NOT OK ({broken} did not end)")
        )
    return "\n".join(lines)


def _cell(content: object) -> str:
    return f"{content:>11}"


def _winner(outcomes: list[dict[str, Any]], standard: dict[str, Any]) -> str:
    """Whether the best trial is the one of the run without a fault; a longer search may find a better one."""
    if not outcomes or any(outcome["trials"] != standard.get("trials") for outcome in outcomes):
        return "-"
    return "same" if all(outcome["winner"] == standard["winner"] for outcome in outcomes) else "other"


def _middle(outcomes: list[dict[str, Any]], key: str) -> str:
    found = [outcome[key] for outcome in outcomes if outcome.get(key) is not None]
    return f"{statistics.median(found):.1f}" if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short faults; into faults_quick.json")
    parser.add_argument("--runs", type=int, default=3, help="of each fault")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="these faults")
    parser.add_argument(
        "--sleep", action="store_true", help="workers that only sleep, for a busy machine; no evaluation then"
    )
    parser.add_argument("--again", action="store_true", help="forget earlier results")
    chosen = parser.parse_args()
    # So that a `timeout` that ends this leaves no processes, mounts or namespaces behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    worker = _SLEEPING if chosen.sleep else _WORKER
    bench = "faults" + ("_sleeping" if chosen.sleep else "") + ("_quick" if chosen.quick else "")
    kept = _RESULTS / f"{bench}.json"
    runs: dict[str, list[dict[str, Any]]] = {}
    if kept.exists() and not chosen.again:
        runs = json.loads(kept.read_text())["runs"]
    for name in chosen.only:
        fault = FAULTS[name]
        if fault.needs_root and os.geteuid() != 0:
            print(f"{name}: left out, it needs root")
            continue
        if fault.trains and chosen.sleep:
            print(f"{name}: left out, its workers have to train")
            continue
        while len(runs.setdefault(name, [])) < chosen.runs:
            print(f"{name}: {fault.what}", flush=True)
            try:
                seconds, trials = (
                    (fault.quick_seconds, _QUICK_TRIALS) if chosen.quick else (fault.seconds, _TRIALS)
                )
                outcome = run(fault, seconds, trials * fault.longer, worker)
            except Exception as error:
                outcome = {"ok": False, "error": f"{type(error).__name__}: {error}"[:2000]}
            runs[name].append(outcome)
            text = table(runs)
            record(bench, {"runs": runs, "table": text.splitlines()}, quiet=True)
            print(text, flush=True)


if __name__ == "__main__":
    main()

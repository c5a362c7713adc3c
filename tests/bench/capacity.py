"""1,000 GPU pods and a million trials in simulation: which part is too slow first, and what helps.

Usage: python tests/bench/capacity.py [--pods N ...] [--trials N] [--minutes M] [--seed N]

A discrete-event simulation on one heap. Pods train trials of log-normal length. The search service works off
reports and results in the order they come, as its consumer does; each result that it has handled commands one
more trial. A pod whose queue is empty is idle until then. Costs are what tests/bench/scale.py measured on
PostgreSQL, where its results are there, else the assumed ones below; the output says which.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from record import record

_RESULTS = Path(__file__).parent / "results"
_SIGMA = 0.6  # of a trial's length, as a factor: two thirds lie within 0.55 and 1.8 of the median
_SLICE_S = 5.0  # the service's work is added up in slices; a report of its own each would be a billion events


@dataclass(frozen=True)
class Plant:
    """What is simulated.

    Attributes:
        report_ms, result_ms: how long the search service takes for a report, and for a result with the
            command that follows.
        report_every_s: of a running trial.
        services: that share the work without getting in each other's way.
        ahead: trials in the queue when it begins, for each pod.
    """

    report_ms: float = 4.0
    result_ms: float = 15.0
    report_every_s: float = 1.0
    services: int = 1
    ahead: float = 0.25


def simulate(plant: Plant, pods: int, trials: int, mean_s: float, seed: int) -> dict[str, float]:
    """So many trials on so many pods, to the last one."""
    chance = random.Random(seed)
    events: list[tuple[float, int]] = []  # when a trial ends; then slices, as number -1
    results: deque[float] = deque()
    queued, idle, running, started, done = int(pods * plant.ahead), 0, 0, 0, 0
    reports_s = trained_s = served_s = worst_s = now = 0.0

    def start(at: float) -> None:
        nonlocal running, started, trained_s
        length = chance.lognormvariate(-(_SIGMA**2) / 2, _SIGMA) * mean_s
        started, running, trained_s = started + 1, running + 1, trained_s + length
        heapq.heappush(events, (at + length, started))

    for _ in range(min(pods, trials)):
        start(0.0)
    heapq.heappush(events, (_SLICE_S, -1))
    while done < trials:
        now, number = heapq.heappop(events)
        if number >= 0:
            running -= 1
            results.append(now)
            if started + idle < trials and queued:
                queued -= 1
                start(now)
            elif started + idle < trials:
                idle += 1
            continue
        # What came is worked off in its order; results stand among the reports that came with them.
        reports_s += running * _SLICE_S / plant.report_every_s * plant.report_ms / 1e3
        results_s = len(results) * plant.result_ms / 1e3
        waiting_s, can_s = reports_s + results_s, _SLICE_S * plant.services
        worst_s = max(worst_s, waiting_s / plant.services)
        share = min(1.0, can_s / waiting_s) if waiting_s else 1.0
        served_s += share * waiting_s
        reports_s -= share * reports_s
        for _ in range(math.ceil(share * len(results)) if share == 1 else int(share * len(results))):
            results.popleft()
            done += 1
            if idle:
                idle -= 1
                start(now)
            elif started + queued < trials:
                queued += 1
        heapq.heappush(events, (now + _SLICE_S, -1))
    return {
        "days": round(now / 86400, 2),
        "pods_busy": round(trained_s / (now * pods), 4),
        "service_busy": round(served_s / (now * plant.services), 4),
        "longest_wait_s": round(worst_s, 1),
    }


def measured() -> Plant | None:
    """Costs from the results of scale.py on PostgreSQL, if it ran here."""
    for name in ("scale.json", "scale_quick.json"):
        path = _RESULTS / name
        if path.exists():
            units = json.loads(path.read_text())["databases"].get("postgresql", {}).get("units")
            if units:
                return Plant(1e3 / units["report"]["per_s"], 1e3 / units["result"]["per_s"])
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pods", type=int, nargs="+", default=[30, 100, 300, 1000, 3000])
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=20.0, help="mean length of a trial")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    found = measured()
    plant = found or Plant()
    rows = []
    changes = {
        f"a report every {plant.report_every_s:g} s": plant,
        "a report every 10 s": replace(plant, report_every_s=10.0),
        "every 30 s": replace(plant, report_every_s=30.0),
        "every 30 s, 4 services": replace(plant, report_every_s=30.0, services=4),
    }
    print(f"{'':28}{'pods':>6}{'days':>9}{'pods busy':>11}{'service busy':>14}{'longest wait s':>16}")
    for name, changed in changes.items():
        for pods in chosen.pods:
            outcome = simulate(changed, pods, chosen.trials, 60 * chosen.minutes, chosen.seed)
            rows.append({"plant": name, "pods": pods, **outcome})
            print(
                f"{name:28}{pods:>6}{outcome['days']:>9}{outcome['pods_busy']:>11.1%}"
                f"{outcome['service_busy']:>14.1%}{outcome['longest_wait_s']:>16}",
                flush=True,
            )
    figures = {
        "costs": "measured" if found else "assumed",
        "report_ms": plant.report_ms,
        "result_ms": plant.result_ms,
        "trials": chosen.trials,
        "minutes": chosen.minutes,
        "seed": chosen.seed,
        "rows": rows,
    }
    record("capacity", figures, quiet=True)


if __name__ == "__main__":
    main()

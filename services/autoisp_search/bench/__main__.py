"""``python -m autoisp_search.bench``, started by ``autoisp bench search``: strategies against each other."""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

from autoisp_search.bench.lines import summary_lines
from autoisp_search.bench.results import PEERS, Curves, curves, document
from autoisp_search.bench.table import shipped
from autoisp_search.strategies import STRATEGIES

RESULT_FILE = "bench.json"
_SLOW = frozenset({"gp"})
_USAGE = 2


def main() -> None:
    """Runs all strategies over all seeds, prints what came of it and writes it to a file."""
    options = _options()
    # Many small products on many threads are slower than on one.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    names = [*options.strategies, *(name for name in PEERS if name not in options.strategies)]
    jobs = [(name, seed) for seed in range(options.seeds) for name in names]
    found: dict[tuple[str, int], Curves] = {}
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        waiting = {
            pool.submit(curves, name, seed, options.trials, options.halving): (name, seed)
            for name, seed in jobs
        }
        for future in as_completed(waiting):
            found[waiting[future]] = future.result()
            print(f"{len(found)}/{len(jobs)}", file=sys.stderr, flush=True)
    runs = {name: [found[name, seed] for seed in range(options.seeds)] for name in names}
    result = document(shipped(), runs, trials=options.trials, halving=options.halving)
    result |= {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "releases": {name: version(name) for name in ("autoisp", "numpy", "optuna")},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / RESULT_FILE).write_text(json.dumps(result, indent=1) + "\n")
    print("\n".join(summary_lines(result)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m autoisp_search.bench", description=__doc__)
    usual = sorted(set(STRATEGIES) - _SLOW)
    parser.add_argument("--strategies", default=",".join(usual), help="names, by commas")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100, help="whole trainings in each run")
    parser.add_argument("--halving", action="store_true", help="train at the low fidelity first")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=Path("bench"), help=f"folder for {RESULT_FILE}")
    options = parser.parse_args()
    options.strategies = options.strategies.split(",")
    unknown = sorted(set(options.strategies) - set(STRATEGIES))
    if unknown:
        parser.exit(
            _USAGE, f"--strategies: {', '.join(unknown)} unknown; there are {', '.join(STRATEGIES)}\n"
        )
    for name in ("seeds", "trials", "processes"):
        if getattr(options, name) < 1:
            parser.exit(_USAGE, f"--{name} must be at least 1\n")
    return options


if __name__ == "__main__":
    main()

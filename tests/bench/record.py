"""Bench results as JSON, with what a reader needs to place them: date, hardware, releases, commit."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_RESULTS = Path(__file__).parent / "results"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and number of repeats."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "repeats": len(values),
    }


def record(bench: str, figures: dict[str, Any], *, quiet: bool = False) -> Path:
    """Writes `tests/bench/results/<bench>.json`, and prints it unless `quiet`."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=_RESULTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    document = {
        "bench": bench,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "processor": _processor()},
        "releases": {name: version(name) for name in ("torch", "onnxruntime", "grpcio", "nats-py")},
        **figures,
    }
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{bench}.json"
    text = json.dumps(document, indent=2)
    path.write_text(text + "\n")
    if not quiet:
        print(text)
    return path


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()

"""``autoisp bench``: how good the search itself is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, Annotated

import typer
from autoisp_core.errors import InternalError, InvalidArgumentError
from rich.console import Console
from rich.progress import Progress

from autoisp_cli.paths import check_folder
from autoisp_cli.report.bench_chart import bench_chart

app = typer.Typer(no_args_is_help=True, help="How good the search itself is.")

RESULT_FILE, CHART_FILE = "bench.json", "bench.svg"
_MODULE = "autoisp_search.bench"
_PROGRESS = re.compile(r"(\d+)/(\d+)\n")
_USAGE = 2


@app.callback()
def _group() -> None:
    """Keeps ``search`` a subcommand, though it is the only one."""


@app.command("search")
def search_command(
    strategies: Annotated[
        str | None, typer.Option("--strategies", metavar="A,B", help="Which; by default all quick ones.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Repeats of each.")] = 10,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Whole trainings in each repeat.")] = 100,
    halving: Annotated[
        bool, typer.Option("--halving", help="Train at the low fidelity first, one of four on to the end.")
    ] = False,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, help="Runs at once; by default one per core.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where figures and chart go.")] = Path(
        "bench"
    ),
) -> None:
    """Replay search strategies, and Optuna beside them, on a table of networks that were all trained once."""
    check_folder("--out", out)
    options = [f"--seeds={seeds}", f"--trials={trials}", f"--out={out}"]
    options += [f"--strategies={strategies}"] if strategies else []
    options += [f"--processes={processes}"] if processes else []
    options += ["--halving"] if halving else []
    _run(options)
    result = json.loads((out / RESULT_FILE).read_text())
    (out / CHART_FILE).write_text(bench_chart(result) + "\n")
    print(f"figures: {out / RESULT_FILE}, chart: {out / CHART_FILE}")


def _run(options: list[str]) -> None:
    """Services don't import one another, so the benchmark is a process of its own, as services are.

    Raises:
        InvalidArgumentError: it did not take the options.
        InternalError: it broke.
    """
    # Small matrices on many threads at once are slower than on one.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", _MODULE, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        said = _followed(process.stderr)
    if process.returncode == _USAGE:
        raise InvalidArgumentError("bench", said.strip())
    if process.returncode:
        raise InternalError(f"the benchmark ended with exit code {process.returncode}: {said.strip()}")


def _followed(lines: IO[str]) -> str:
    """Shows how far it is, until it ends; returns whatever else it said."""
    said = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replaying", total=None)
        for line in lines:
            if found := _PROGRESS.fullmatch(line):
                progress.update(task, completed=int(found[1]), total=int(found[2]))
            else:
                said.append(line)
    return "".join(said)

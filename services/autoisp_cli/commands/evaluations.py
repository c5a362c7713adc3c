"""``autoisp evaluations``: judge networks and prototypes on footage, and see how they did."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from autoisp.evaluation.v1 import evaluation_pb2

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    WorkersOption,
    client_for,
    full_name,
    services_for,
    show_list,
    show_one,
    state_name,
    time_text,
)
from autoisp_cli.commands.evaluations_show import comparison_table, evaluation_rows, gate_rows
from autoisp_cli.evaluate import job
from autoisp_cli.evaluate.live import choose_view
from autoisp_cli.evaluate.options import RunOptions, margins
from autoisp_cli.evaluate.start import start
from autoisp_cli.gate_file import gate_text
from autoisp_cli.local import default_workers
from autoisp_cli.report.evaluation import Judged
from autoisp_cli.sensor_choice import SensorChoice
from autoisp_cli.tune.faults import in_options

_PATIENCE_SECONDS = 10.0
"""A service that is started again is back by then."""

app = typer.Typer(help="Evaluations: judge networks and prototypes on footage.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="EVALUATION", help="evaluations/ID, or just the ID.")]
_SCOPES = {
    "these-clips": evaluation_pb2.Comparison.SCOPE_THESE_CLIPS,
    "other-clips": evaluation_pb2.Comparison.SCOPE_OTHER_CLIPS,
}


@app.command("run")
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


@app.command("watch")
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


@app.command("cancel")
def cancel_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Cancel an evaluation; what was judged stays."""
    with client_for(server, state) as client:
        evaluation = client.cancel_evaluation(full_name("evaluations", name))
        show_one(evaluation, [("name", evaluation.name), ("state", _state(evaluation))], as_json=json)


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
    search: Annotated[str, typer.Option("--search", help="Only those of this search.")] = "",
) -> None:
    """List evaluations."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda evaluation: evaluation.name,
            "STATE": _state,
            "CLIPS": lambda evaluation: len(evaluation.clips),
            "PSNR": _psnr,
            "GATE": _gate,
            "METRICS": lambda evaluation: ", ".join(metric.name for metric in Judged(evaluation).metrics),
            "CREATED": lambda evaluation: time_text(evaluation, "create_time"),
        }
        wanted = full_name("searches", search) if search else ""
        show_list(client.list_evaluations(search=wanted), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one evaluation: totals with intervals, verdicts, gate, and clip by clip."""
    with client_for(server, state) as client:
        evaluation = client.get_evaluation(full_name("evaluations", name))
        rows = [("name", evaluation.name), ("state", _state(evaluation)), *evaluation_rows(evaluation)]
        show_one(evaluation, rows, as_json=json)


@app.command("compare")
def compare_command(
    name: NameArgument,
    subject: Annotated[str, typer.Option("--subject", metavar="LABEL", help="Who may be better.")],
    baseline: Annotated[str, typer.Option("--baseline", metavar="LABEL", help="Than whom.")],
    baseline_evaluation: Annotated[
        str,
        typer.Option(
            "--baseline-evaluation", metavar="EVALUATION", help="Where that was judged, if elsewhere."
        ),
    ] = "",
    margin: Annotated[
        list[str],
        typer.Option("--margin", metavar="METRIC=X…", help="Differences that don't matter, as in psnr=0.1."),
    ] = [],  # noqa: B006 - typer copies it
    scope: Annotated[
        str, typer.Option("--scope", help="What verdicts hold for: these-clips or other-clips.")
    ] = "these-clips",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Tell which of two subjects is better, frame by frame."""
    if scope not in _SCOPES:
        raise typer.BadParameter(f"use one of {', '.join(_SCOPES)}", param_hint="--scope")
    allowed = margins(margin)
    with client_for(server, state) as client, in_options():
        comparisons = client.compare_subjects(
            full_name("evaluations", name),
            subject,
            baseline,
            baseline_evaluation=full_name("evaluations", baseline_evaluation) if baseline_evaluation else "",
            margins=allowed,
            scope=_SCOPES[scope],
        )
    comparison_table(comparisons, as_json=json)


@app.command("check")
def check_command(
    name: NameArgument,
    gate: Annotated[Path, typer.Option("--gate", metavar="FILE", help="The gate, as TOML.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Judge an ended evaluation by any gate. Exit code 1: it failed."""
    text = gate_text(gate)
    with client_for(server, state) as client, in_options():
        report = client.check_gate(full_name("evaluations", name), text)
    show_one(report, gate_rows(report), as_json=json)
    if not report.passed:
        raise typer.Exit(1)


@app.command("report")
def report_command(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where it goes.")] = Path("report"),
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Write the report of an evaluation: index.html, evaluation.json and frames.csv."""
    with client_for(server, state) as client:
        evaluation = client.get_evaluation(full_name("evaluations", name))
        judged = job.report(client, evaluation, out, _tell)
    rows = [
        ("name", evaluation.name),
        ("passed", "yes" if judged.passed else "no"),
        ("report", str(out / "index.html")),
    ]
    show_one(evaluation, rows, as_json=json)


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
        view.begun(evaluation, resumed=resumed)
        try:
            evaluation = job.watch(client, evaluation, view, services.check)
        except KeyboardInterrupt:
            _tell(_farewell(evaluation.name, ours=services.ours))
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


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _state(evaluation: evaluation_pb2.Evaluation) -> str:
    return state_name(evaluation_pb2.EvaluationState, evaluation.state)


def _psnr(evaluation: evaluation_pb2.Evaluation) -> str:
    return ", ".join(f"{result.label} {result.quality.psnr_db:.2f}" for result in evaluation.totals)


def _gate(evaluation: evaluation_pb2.Evaluation) -> str:
    if not evaluation.HasField("gate_report"):
        return ""
    return "passed" if evaluation.gate_report.passed else "failed"

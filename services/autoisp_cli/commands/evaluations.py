"""``autoisp evaluations``: judge networks and prototypes on footage, and see how they did."""

from __future__ import annotations

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
    client_for,
    full_name,
    show_list,
    show_one,
    state_name,
    time_text,
)
from autoisp_cli.commands.evaluations_run import NameArgument, run_command, tell, watch_command
from autoisp_cli.commands.evaluations_show import comparison_table, evaluation_rows, gate_rows
from autoisp_cli.evaluate import job
from autoisp_cli.evaluate.options import margins
from autoisp_cli.gate_file import gate_text
from autoisp_cli.paths import check_folder
from autoisp_cli.report.evaluation import Judged
from autoisp_cli.tune.faults import in_options

app = typer.Typer(help="Evaluations: judge networks and prototypes on footage.", no_args_is_help=True)
app.command("run")(run_command)
app.command("watch")(watch_command)

_SCOPES = {
    "these-clips": evaluation_pb2.Comparison.SCOPE_THESE_CLIPS,
    "other-clips": evaluation_pb2.Comparison.SCOPE_OTHER_CLIPS,
}


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
    check_folder("--out", out)
    with client_for(server, state) as client:
        evaluation = client.get_evaluation(full_name("evaluations", name))
        judged = job.report(client, evaluation, out, tell)
    rows = [
        ("name", evaluation.name),
        ("passed", "yes" if judged.passed else "no"),
        ("report", str(out / "index.html")),
    ]
    show_one(evaluation, rows, as_json=json)


def _state(evaluation: evaluation_pb2.Evaluation) -> str:
    return state_name(evaluation_pb2.EvaluationState, evaluation.state)


def _psnr(evaluation: evaluation_pb2.Evaluation) -> str:
    return ", ".join(f"{result.label} {result.quality.psnr_db:.2f}" for result in evaluation.totals)


def _gate(evaluation: evaluation_pb2.Evaluation) -> str:
    if not evaluation.HasField("gate_report"):
        return ""
    return "passed" if evaluation.gate_report.passed else "failed"

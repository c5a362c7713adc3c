"""``autoisp evaluations``: how networks and prototypes did on footage."""

from __future__ import annotations

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
from autoisp_cli.views.words import cost_text

app = typer.Typer(help="Evaluations.", no_args_is_help=True)


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
            "CREATED": lambda evaluation: time_text(evaluation, "create_time"),
        }
        wanted = full_name("searches", search) if search else ""
        show_list(client.list_evaluations(search=wanted), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(metavar="EVALUATION", help="evaluations/ID, or just the ID.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one evaluation, clip by clip."""
    with client_for(server, state) as client:
        evaluation = client.get_evaluation(full_name("evaluations", name))
        rows = [
            ("name", evaluation.name),
            ("state", _state(evaluation)),
            ("failure", evaluation.failure.message),
            ("dataset", evaluation.dataset),
        ]
        for result in evaluation.totals:
            rows.append((result.label, f"{_quality(result)}, {cost_text(result.cost)}"))
        for clip in evaluation.clips:
            results = "; ".join(f"{result.label} {_quality(result)}" for result in clip.subjects)
            rows.append((clip.display_name or clip.clip, clip.failure.message or results))
        show_one(evaluation, [row for row in rows if row[1]], as_json=json)


def _state(evaluation: evaluation_pb2.Evaluation) -> str:
    return state_name(evaluation_pb2.EvaluationState, evaluation.state)


def _psnr(evaluation: evaluation_pb2.Evaluation) -> str:
    return ", ".join(f"{result.label} {result.quality.psnr_db:.2f}" for result in evaluation.totals)


def _quality(result: evaluation_pb2.SubjectResult) -> str:
    return f"{result.quality.psnr_db:.2f} dB, SSIM {result.quality.ssim:.4f}"

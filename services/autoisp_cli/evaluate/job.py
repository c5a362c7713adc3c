"""Watching an evaluation to its end, and reporting it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_client import Client, evaluation_ended

from autoisp_cli import pictures
from autoisp_cli.evaluate.progress import EvaluationProgress
from autoisp_cli.evaluate.views import EvaluationView
from autoisp_cli.report.evaluation import Judged, write_evaluation
from autoisp_cli.report.evaluation.gallery import wanted
from autoisp_cli.tune.follow import follow


def watch(
    client: Client, evaluation: evaluation_pb2.Evaluation, view: EvaluationView, check: Callable[[], None]
) -> evaluation_pb2.Evaluation:
    """The evaluation, once it has ended.

    Raises:
        AutoISPError: it can't be watched, or what ``check`` raises.
    """
    progress = EvaluationProgress(evaluation)
    view.progress(progress, ())
    if not evaluation_ended(evaluation):
        for update in follow(client.watch_evaluation(evaluation.name, frames=True), check):
            view.progress(progress, progress.apply(update) if update is not None else ())
    return client.get_evaluation(evaluation.name)


def report(
    client: Client,
    evaluation: evaluation_pb2.Evaluation,
    folder: Path,
    note: Callable[[str], None],
    command: str = "",
) -> Judged:
    """Writes the report of an evaluation as it is now.

    Raises:
        ResourceExhaustedError: the folder can't be written.
    """
    shown = pictures.fetch(client, wanted(evaluation), note)
    judged = Judged(evaluation, shown, command)
    write_evaluation(judged, folder)
    return judged

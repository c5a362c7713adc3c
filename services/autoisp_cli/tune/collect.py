"""From a finished search to everything that the report needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import Client
from autoisp_core.errors import InternalError

from autoisp_cli.report.write import NETWORK
from autoisp_cli.tune.follow import await_result, follow
from autoisp_cli.views import View

APPEARS_WITHIN_SECONDS = 60.0
"""The services react to one another's events; that takes well under a second unless something is down."""

Check = Callable[[], None]


def find_evaluation(client: Client, search: search_pb2.Search) -> evaluation_pb2.Evaluation | None:
    """The evaluation that followed the search by itself, without frames and pictures; None before it begins.

    It is looked up by its search and trial: its usual name may be taken by a person's evaluation.
    """
    found = client.list_evaluations(search=search.name)
    return next((evaluation for evaluation in found if evaluation.trial == search.best_trial), None)


def evaluation_of(
    client: Client, search: search_pb2.Search, view: View, check: Check
) -> evaluation_pb2.Evaluation:
    """The evaluation that follows the search, once it has ended.

    Raises:
        InternalError: it failed.
    """
    evaluation = await_result(
        f"the evaluation of {search.name}",
        lambda: find_evaluation(client, search),
        check,
        APPEARS_WITHIN_SECONDS,
    )
    for update in follow(client.watch_evaluation(evaluation.name), check):
        if update is not None:
            evaluation = update
            view.evaluation(evaluation)
    if evaluation.state != evaluation_pb2.EVALUATION_STATE_SUCCEEDED:
        failure = evaluation.failure
        raise InternalError(
            f"{evaluation.name} failed with {failure.reason}: {failure.message}; "
            "run the command again to search once more",
            reason=failure.reason,
        )
    return evaluation


def version_of(client: Client, search: search_pb2.Search, check: Check) -> registry_pb2.ModelVersion:
    """The model version that the search was registered as."""

    def find() -> registry_pb2.ModelVersion | None:
        versions = client.list_model_versions(search.model)
        return next((version for version in versions if version.lineage.search == search.name), None)

    return await_result(f"a version of {search.model}", find, check, APPEARS_WITHIN_SECONDS)


def network_of(
    client: Client, version: registry_pb2.ModelVersion, folder: Path
) -> Mapping[str, list[int | str]]:
    """Writes the version's ONNX file into the folder; returns its inputs and their shapes."""
    path = folder / NETWORK
    client.download(path, model_version=version.name)
    # Takes a moment to load, so only when it is needed.
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return {node.name: list(node.shape) for node in session.get_inputs()}

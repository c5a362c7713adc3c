"""From options to a running evaluation: created, or found again."""

from __future__ import annotations

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_client import Client
from autoisp_client.subjects import evaluation_message
from autoisp_core.errors import NotFoundError

from autoisp_cli.evaluate.options import RunOptions
from autoisp_cli.tune.faults import in_options
from autoisp_cli.tune.identity import evaluation_id

_MOST_ATTEMPTS = 1000
_SPENT = frozenset({evaluation_pb2.EVALUATION_STATE_FAILED, evaluation_pb2.EVALUATION_STATE_CANCELLED})


def start(client: Client, options: RunOptions) -> tuple[evaluation_pb2.Evaluation, bool]:
    """The evaluation for these inputs, and whether an earlier run began it.

    One that failed or was cancelled stays as it is, and another attempt begins; so it does with any that has
    ended, if it is to be done again.

    Raises:
        InvalidArgumentError: the service refuses an option; the message names it.
    """
    sensor = options.sensor.resolved(client).message()
    subjects = []
    for label, source in options.sources().items():
        with in_options(f"--subject {label}={source}"):
            subjects.append(client.evaluation_subject(label, source))
    metrics, gate = options.metric_names(), options.gate_text()
    wanted = evaluation_message(
        options.dataset, subjects, options.split, metrics, gate, sensor, options.seed, options.frames
    )
    identifier = ""
    for attempt in range(1, _MOST_ATTEMPTS):
        identifier = evaluation_id(wanted, attempt)
        try:
            found = client.get_evaluation(f"evaluations/{identifier}")
        except NotFoundError:
            break
        running = found.state == evaluation_pb2.EVALUATION_STATE_RUNNING
        if running or not (options.again or found.state in _SPENT):
            return found, True
    with in_options():
        created = client.create_evaluation(
            options.dataset,
            {subject.label: subject for subject in subjects},
            split=options.split,
            metrics=metrics,
            gate=gate,
            sensor=sensor,
            seed=options.seed,
            frames_per_clip=options.frames,
            evaluation_id=identifier,
            request_id=identifier,
        )
    return created, False

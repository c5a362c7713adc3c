"""``python -m autoisp_worker.live``: live evaluation."""

from __future__ import annotations

from autoisp.evaluation.v1 import evaluation_pb2_grpc
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime

from autoisp_worker.live.api import LiveEvaluationServicer
from autoisp_worker.live.config import LiveConfig
from autoisp_worker.live.judges import Judges
from autoisp_worker.live.usecases import EvaluateStream

_LAST_WORDS = 0.8
"""Of the grace at a stop; after it streams are told that they end."""


async def build(runtime: Runtime[LiveConfig]) -> None:
    """Wire the service."""
    config, judges = runtime.config, Judges(runtime.config, runtime.store)
    evaluate = EvaluateStream(judges, judges.threads(), config.limits)
    runtime.on_stopping(lambda: evaluate.stop(_LAST_WORDS * config.stop_grace_seconds))
    runtime.serve(
        evaluation_pb2_grpc.add_LiveEvaluationServiceServicer_to_server, LiveEvaluationServicer(evaluate)
    )


if __name__ == "__main__":
    run_service(LiveConfig, build)

"""``python -m autoisp_evaluation``: the evaluation service."""

from __future__ import annotations

from autoisp.evaluation.v1 import evaluation_pb2_grpc
from autoisp_runtime.jetstream.topology import EVALUATION_RESULTS, EVALUATION_TRIGGERS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables

from autoisp_evaluation import tables
from autoisp_evaluation.api import EvaluationServicer
from autoisp_evaluation.bus import EvaluationBus, encode
from autoisp_evaluation.config import EvaluationConfig
from autoisp_evaluation.datasets import StoredDatasets
from autoisp_evaluation.store import SqlStore
from autoisp_evaluation.usecases import Evaluations


async def build(runtime: Runtime[EvaluationConfig]) -> None:
    """Wire the service."""
    store = SqlStore(runtime.database, runtime.outbox, encode)
    evaluations = Evaluations(store, StoredDatasets(runtime.artifacts), runtime.artifacts)
    runtime.on_stopping(evaluations.stop_watches)
    bus = EvaluationBus(evaluations)
    runtime.serve(
        evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server, EvaluationServicer(evaluations)
    )
    runtime.consume(EVALUATION_TRIGGERS, bus.on_search_completed, patient=True)
    runtime.consume(
        EVALUATION_RESULTS, bus.on_clip_judged, patient=True, on_dead_letter=bus.on_unusable_result
    )


def main() -> None:
    """Run until told to stop."""
    run_service(EvaluationConfig, build, tables=Tables("autoisp_evaluation.migrations", tables.outbox))


if __name__ == "__main__":
    main()

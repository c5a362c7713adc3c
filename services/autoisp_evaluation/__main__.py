"""``python -m autoisp_evaluation``: the evaluation service."""

from __future__ import annotations

from autoisp.evaluation.v1 import evaluation_pb2_grpc
from autoisp_runtime.jetstream.topology import EVALUATION_RESULTS, EVALUATION_TRIGGERS, Event
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables

from autoisp_evaluation import tables
from autoisp_evaluation.api import EvaluationServicer
from autoisp_evaluation.bus import EvaluationBus, encode
from autoisp_evaluation.config import EvaluationConfig
from autoisp_evaluation.datasets import StoredDatasets
from autoisp_evaluation.records import StoredRecords
from autoisp_evaluation.store import SqlStore
from autoisp_evaluation.usecases import Comparing, Evaluations, LiveFrames, Watching
from autoisp_evaluation.usecases.changes import Changes
from autoisp_evaluation.versions import StoredVersions


async def build(runtime: Runtime[EvaluationConfig]) -> None:
    """Wire the service."""
    store = SqlStore(runtime.database, runtime.outbox, encode)
    artifacts, changes = runtime.artifacts, Changes()
    live = LiveFrames(changes)
    evaluations = Evaluations(
        store,
        StoredDatasets(artifacts),
        artifacts,
        StoredVersions(artifacts),
        StoredRecords(artifacts),
        changes,
        live,
    )
    watching = Watching(store, changes, live)
    runtime.on_stopping(watching.stop)
    bus = EvaluationBus(evaluations, live)
    servicer = EvaluationServicer(evaluations, watching, Comparing(store))
    runtime.serve(evaluation_pb2_grpc.add_EvaluationServiceServicer_to_server, servicer)
    runtime.consume(EVALUATION_TRIGGERS, bus.on_search_completed, patient=True)
    runtime.consume(
        EVALUATION_RESULTS, bus.on_clip_judged, patient=True, on_dead_letter=bus.on_unusable_result
    )
    runtime.listen(Event.EVALUATION_FRAMES_JUDGED, bus.on_frames_judged)


def main() -> None:
    """Run until told to stop."""
    run_service(EvaluationConfig, build, tables=Tables("autoisp_evaluation.migrations", tables.outbox))


if __name__ == "__main__":
    main()

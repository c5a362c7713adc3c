"""A worker whose arithmetic is sleep: the real queue, reports, records and announcements.

``AUTOISP_SLOTS`` trials run side by side in one process, each with a consumer of its own as a worker process
has it; they share the process and its connection, which a real worker does not. ``AUTOISP_TRIAL_SECONDS`` is
how long each sleeps. A trial leaves a result and two files of the size that real ones have.
"""

from __future__ import annotations

import hashlib
import select
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from autoisp_core.spec import Spec
from autoisp_core.spec import cost as analytic_cost
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream.topology import WORKER_CONVERSIONS, WORKER_FIRST, WORKER_TRIALS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime
from autoisp_worker.attempts import Attempts
from autoisp_worker.bus import CommandBus, EventBus
from autoisp_worker.compute import ComputeThread, StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain import (
    Cost,
    Failure,
    ProfileJob,
    PrototypeProfile,
    Quality,
    TrialJob,
    TrialProgress,
    TrialResult,
    TrialState,
)
from autoisp_worker.domain_conversion import Conversion, ConversionJob
from autoisp_worker.domain_evaluation import ClipResult, EvaluationJob
from autoisp_worker.results import Checkpoints, Results
from autoisp_worker.usecases import OnFrames, OnProgress, Settlement
from autoisp_worker.watch import Watches

ONNX_BYTES, CHECKPOINT_BYTES = 60_000, 40_000
_STEP_S = 0.1


class SleepingConfig(WorkerConfig):
    """A worker's, and how it sleeps."""

    slots: int = 8
    trial_seconds: float = 2.0


@dataclass(frozen=True)
class SleepingJobs:
    """Makes up results at once, after a sleep; a spec's quality is a hash of it."""

    store: ArtifactStore
    worker_id: str
    seconds: float

    def profile(self, job: ProfileJob, stop: StopRequest) -> PrototypeProfile | Failure:
        """A prototype that takes 5 s per megapixel."""
        return PrototypeProfile(Cost(None, 0, 0, 5.0), Quality(25.0, 0.7), 5, ("raw", "gains", "noise"))

    def trial(self, job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        """Sleep in steps, as training looks at ``stop`` in steps."""
        started, end = datetime.now(UTC), time.monotonic() + self.seconds
        while not stop and (left := end - time.monotonic()) > 0:
            # libfaketime breaks time.sleep, which waits for a moment of a clock rather than for so long.
            select.select([], [], [], min(left, _STEP_S))
            on_progress(TrialProgress(1 - left / self.seconds, 100, 0.1))
        digest = hashlib.sha256(job.trial.encode() + job.spec.encode()).digest()
        luck = int.from_bytes(digest[:2], "big") / 0xFFFF
        return TrialResult(
            job.trial,
            TrialState.SUCCEEDED,
            self.worker_id,
            start_time=started,
            end_time=datetime.now(UTC),
            cost=Cost(analytic_cost(Spec.from_json(job.spec)).macs_per_pixel, 1000, ONNX_BYTES, 0.01),
            quality=Quality(25 + 5 * luck, 0.8),
            onnx=self.store.put_bytes((digest * (ONNX_BYTES // 32 + 1))[:ONNX_BYTES], "application/onnx"),
            checkpoint=self.store.put_bytes((digest[::-1] * (CHECKPOINT_BYTES // 32 + 1))[:CHECKPOINT_BYTES]),
            steps=100,
            train_seconds=self.seconds,
        )

    def judge(self, job: EvaluationJob, stop: StopRequest, on_frames: OnFrames) -> ClipResult:
        """Not here."""
        return ClipResult(job.clip.clip, "", failure=Failure("SLEEPING", "this worker only sleeps"))

    def convert(self, job: ConversionJob, stop: StopRequest) -> Conversion:
        """Not here."""
        return Conversion(job.model_version, job.conversion_id, failure=Failure("SLEEPING", "only sleeps"))


async def build(runtime: Runtime[SleepingConfig]) -> None:
    """Wire the slots, each as ``autoisp_worker`` wires its one."""
    config = runtime.config
    jobs = SleepingJobs(runtime.store, config.worker_id, config.trial_seconds)
    watches = Watches.of(runtime.nats, runtime.publisher, config)
    settlement = Settlement(Results(runtime.store), EventBus(runtime.publisher))
    attempts = Attempts(runtime.store, config.max_deliver)
    for _ in range(config.slots):
        bus = CommandBus(
            settlement,
            jobs,
            ComputeThread(),
            Checkpoints(runtime.store),
            watches,
            config.worker_id,
            attempts,
        )
        durables = (WORKER_FIRST, WORKER_TRIALS, WORKER_CONVERSIONS)
        runtime.consume(durables, bus.handle, patient=True, on_dead_letter=bus.bury)


if __name__ == "__main__":
    run_service(SleepingConfig, build)

"""What every job works with."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker.config import Precision, WorkerConfig
from autoisp_worker.frames import FrameCache
from autoisp_worker.results import Checkpoints


@dataclass(frozen=True)
class Tools:
    """A worker's equipment.

    Attributes:
        device: of the training.
        threads: of the training.
        precision, compile, deterministic: of the training, as ``autoisp_isp.execution.Execution`` has them.
        worker_id: this worker's name in results.
        checkpoint_seconds: between two checkpoints of a training.
        profile_seconds: about how long a prototype is measured.
        frame_limit_seconds: for one frame of a judged network.
        network_memory_bytes: by how much the process of a judged network may grow.
        network_threads, network_provider: what a judged network runs on.
    """

    store: ArtifactStore
    frames: FrameCache
    checkpoints: Checkpoints
    device: str
    threads: int
    precision: Precision
    compile: bool
    deterministic: bool
    worker_id: str
    checkpoint_seconds: float
    profile_seconds: float
    frame_limit_seconds: float
    network_memory_bytes: int
    network_threads: int
    network_provider: str

    @classmethod
    def of(cls, config: WorkerConfig, store: ArtifactStore) -> Tools:
        """As the configuration says."""
        return cls(
            store=store,
            frames=FrameCache(store, config.frame_cache_bytes),
            checkpoints=Checkpoints(store),
            device=config.device,
            threads=config.threads,
            precision=config.precision,
            compile=config.compile,
            deterministic=config.deterministic,
            worker_id=config.worker_id,
            checkpoint_seconds=config.checkpoint_seconds,
            profile_seconds=config.profile_seconds,
            frame_limit_seconds=config.frame_limit_seconds,
            network_memory_bytes=config.network_memory_bytes,
            network_threads=config.network_threads,
            network_provider=config.network_provider,
        )

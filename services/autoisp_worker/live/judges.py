"""Makes the judges of streams. What they compute with is imported with the first: it takes seconds and some
hundred megabytes, and many a stack that is up evaluates no stream."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from autoisp_core.errors import CancelledError
from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker.live.config import LiveConfig
from autoisp_worker.live.domain import StreamHeader
from autoisp_worker.live.ports import Judge


class Judges:
    """See :class:`autoisp_worker.live.ports.OpenJudge`.

    Args:
        config: threads and limits.
        store: where networks are.
    """

    def __init__(self, config: LiveConfig, store: ArtifactStore) -> None:
        self._config = config
        self._store = store

    def __call__(self, header: StreamHeader, given_up: Callable[[], bool]) -> Judge:
        from autoisp_worker.live.judge import FrameJudge
        from autoisp_worker.live.subjects import Subjects

        if header.subject is None:
            return FrameJudge(header, None)
        config = self._config
        subjects = Subjects(
            self._store,
            config.threads,
            frame_limit_s=config.frame_limit_seconds,
            memory_bytes=config.model_memory_bytes,
            model_bytes=config.max_model_bytes,
        )

        def on_wait() -> None:
            if given_up():
                raise CancelledError("the stream has ended; begin another")

        subject = subjects.open(header.subject, on_wait)
        try:
            return FrameJudge(header, subject)
        except BaseException:
            subject.close()
            raise

    def threads(self) -> ThreadPoolExecutor:
        """Two for each stream: one develops, one measures."""
        return ThreadPoolExecutor(
            2 * self._config.evaluation_streams, thread_name_prefix="stream", initializer=self._prepare
        )

    def _prepare(self) -> None:
        """Give the calling thread what its libraries may use."""
        import cv2
        import torch

        torch.set_num_threads(self._config.threads)
        cv2.setNumThreads(self._config.threads)

"""What the worker's GPU is doing, for metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from autoisp_runtime.telemetry import metrics

_log = structlog.get_logger(__name__)


def gpu_figures(device: str) -> Callable[[], Awaitable[None]]:
    """What brings the metrics of ``device`` (``cuda`` or ``cuda:N``) up to date."""
    gpu = _Gpu(int(device.partition(":")[2] or 0))

    async def figures() -> None:
        await asyncio.to_thread(gpu.sample)

    return figures


class _Gpu:
    def __init__(self, index: int) -> None:
        self._index = index
        self._said = False

    def sample(self) -> None:
        import torch

        label = str(self._index)
        free, total = torch.cuda.mem_get_info(self._index)
        metrics.GPU_MEMORY_USED.labels(label).set(total - free)
        metrics.GPU_MEMORY.labels(label).set(total)
        try:
            metrics.GPU_UTILIZATION.labels(label).set(torch.cuda.utilization(self._index) / 100)
        except Exception as error:
            # nvidia-ml-py is not installed, or has no answer here: a part of a GPU (MIG) has none. Its errors
            # are of its own class, which can't be named without it.
            metrics.GPU_UTILIZATION.remove(label)
            if not self._said:
                self._said = True
                _log.warning("the GPU does not say how busy it is", device=self._index, error=str(error))

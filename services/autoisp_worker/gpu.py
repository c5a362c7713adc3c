"""What the worker's GPU is doing, for metrics."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from autoisp_runtime.telemetry import metrics


def gpu_figures(device: str) -> Callable[[], Awaitable[None]]:
    """What brings the metrics of ``device`` (``cuda`` or ``cuda:N``) up to date."""

    async def figures() -> None:
        await asyncio.to_thread(_sample, device)

    return figures


def _sample(device: str) -> None:
    import torch

    index = int(device.partition(":")[2] or 0)
    free, total = torch.cuda.mem_get_info(index)
    label = str(index)
    metrics.GPU_MEMORY_USED.labels(label).set(total - free)
    metrics.GPU_MEMORY.labels(label).set(total)
    # NVIDIA's library for it (nvidia-ml-py) may not be installed, or have no answer here.
    with contextlib.suppress(ModuleNotFoundError, RuntimeError):
        metrics.GPU_UTILIZATION.labels(label).set(torch.cuda.utilization(index) / 100)

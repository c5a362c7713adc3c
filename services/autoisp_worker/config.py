"""What a worker is told through ``AUTOISP_*``, on top of what every service is."""

from __future__ import annotations

import os
import re
import socket
from typing import ClassVar, Literal

from autoisp_core.errors import InvalidArgumentError
from autoisp_runtime.config import ServiceConfig
from pydantic import Field, field_validator

Precision = Literal["auto", "float32", "bfloat16"]

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def _default_worker_id() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class WorkerConfig(ServiceConfig):
    """A worker's configuration."""

    service: ClassVar[str] = "worker"

    device: str = Field("cpu", description="where networks are trained: cpu, cuda or cuda:N")
    threads: int = Field(
        1, ge=1, le=256, description="threads of torch and OpenCV; costs are always timed on one"
    )
    precision: Precision = Field(
        "auto", description="of training: auto is bfloat16 on CUDA devices that have it, else float32"
    )
    compile: bool = Field(False, description="whether torch.compile makes kernels for each network it trains")
    deterministic: bool = Field(
        False, description="whether the same seed gives the same bits on CUDA, slower"
    )
    worker_id: str = Field(default_factory=_default_worker_id, description="this worker's name in results")
    frame_cache_bytes: int = Field(2 << 30, ge=1 << 20, description="decoded frames kept in memory, at most")
    checkpoint_seconds: float = Field(5.0, gt=0, description="how much training a killed worker may cost")
    max_deliver: int = Field(5, ge=1, description="a job fails once so many attempts killed their worker")
    trial_limit_seconds: float = Field(6 * 3600.0, gt=0, description="a trial that takes longer fails")
    clip_limit_seconds: float = Field(6 * 3600.0, gt=0, description="a clip whose judging takes longer fails")
    conversion_limit_seconds: float = Field(
        3600.0, gt=0, description="a conversion into edge formats that takes longer fails"
    )
    frame_limit_seconds: float = Field(
        60.0, gt=0, description="a judged network that takes longer for one frame is stopped"
    )
    network_memory_bytes: int = Field(
        4 << 30, ge=64 << 20, description="by how much the process of a judged network may grow"
    )
    network_threads: int = Field(1, ge=1, le=256, description="threads that a judged network's latency is of")
    network_provider: Literal["cpu", "cuda"] = Field(
        "cpu", description="what a judged network's pictures and latency come from: cpu or cuda"
    )
    profile_seconds: float = Field(20.0, gt=0, description="about how long a prototype is measured")
    # A trial in work loses nothing when it is interrupted, and whoever stops a worker waits for it.
    stop_grace_seconds: float = Field(1.0, ge=0, description="how long work in progress may go on at a stop")

    @property
    def instance(self) -> str:
        """The name in results."""
        return self.worker_id

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        if not _DEVICE.fullmatch(value):
            raise ValueError("must be cpu, cuda or cuda:N")
        return value


def check_device(device: str) -> None:
    """Make sure that ``device`` is there; asks torch only about CUDA, since importing it takes seconds.

    Raises:
        InvalidArgumentError: it is not.
    """
    if device == "cpu":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(device.partition(":")[2] or 0)
    if index >= count:
        raise InvalidArgumentError(
            "device",
            f"{device} is not there: torch {torch.__version__} sees {count} CUDA devices; "
            "set AUTOISP_DEVICE=cpu, or install a CUDA build of torch and a driver",
            reason="NO_SUCH_DEVICE",
        )

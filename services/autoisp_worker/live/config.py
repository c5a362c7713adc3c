"""Configuration of live evaluation."""

from __future__ import annotations

from typing import ClassVar

from autoisp_runtime.config import ServiceConfig
from autoisp_runtime.pace import Pace
from pydantic import Field

from autoisp_worker.live.domain import StreamLimits

_ADVICE = (
    "send frames as a whole and without long pauses, or have the server's "
    "AUTOISP_MIN_STREAM_BYTES_PER_SECOND lowered or its AUTOISP_STREAM_WINDOW_SECONDS raised"
)


class LiveConfig(ServiceConfig):
    """``AUTOISP_*`` variables of live evaluation."""

    service: ClassVar[str] = "live"

    threads: int = Field(1, ge=1, le=256, description="threads of one stream's network")
    evaluation_streams: int = Field(8, ge=1, description="streams that are evaluated at the same time")
    evaluation_window_frames: int = Field(4, ge=1, description="unanswered frames of one stream, at most")
    evaluation_window_bytes: int = Field(
        128 << 20, ge=1, description="unanswered frames of one stream in bytes; one frame there always may be"
    )
    frame_limit_seconds: float = Field(30, gt=0, description="a subject that takes longer for a frame fails")
    model_memory_bytes: int = Field(8 << 30, ge=1 << 20, description="a subject that wants more memory fails")
    max_model_bytes: int = Field(256 << 20, ge=1, description="largest network that is read from the store")
    max_stream_side: int = Field(8192, ge=16, description="pixels, either side of a frame")
    min_stream_bytes_per_second: float = Field(1024, ge=0, description="slowest sender that is waited for")
    stream_window_seconds: float = Field(
        30,
        gt=0,
        description="over how long a sender's pace is measured, and how long answers may stay unread",
    )

    @property
    def limits(self) -> StreamLimits:
        """What clients may take."""
        return StreamLimits(
            streams=self.evaluation_streams,
            side=self.max_stream_side,
            window_frames=self.evaluation_window_frames,
            window_bytes=self.evaluation_window_bytes,
            pace=Pace(self.min_stream_bytes_per_second, self.stream_window_seconds, _ADVICE),
        )

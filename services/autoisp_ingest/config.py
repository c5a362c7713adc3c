"""Configuration of the ingest service."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from autoisp_runtime.config import ServiceConfig
from autoisp_runtime.pace import Pace
from autoisp_runtime.resumable import SpoolLimits
from pydantic import Field

from autoisp_ingest.domain import FootageLimits
from autoisp_ingest.usecases import LiveLimits

_DEFAULTS = FootageLimits()


class IngestConfig(ServiceConfig):
    """``AUTOISP_*`` variables of ingest."""

    service: ClassVar[str] = "ingest"

    max_upload_bytes: int = Field(8 << 30, ge=1, description="largest upload that is accepted")
    spool_bytes: int = Field(32 << 30, ge=1, description="all unfinished uploads and imports together")
    upload_ttl_seconds: float = Field(86_400, gt=0, description="how long an unfinished upload is kept")
    min_upload_bytes_per_second: float = Field(1024, ge=0, description="slowest sender that is waited for")
    upload_window_seconds: float = Field(30, gt=0, description="over how long a sender's pace is measured")
    import_roots: str = Field(
        "", description="what may be imported: file:///FOLDER or s3://BUCKET/PREFIX, separated by commas"
    )
    live_streams: int = Field(4, ge=1, description="cameras that send frames at the same time")
    live_window_bytes: int = Field(32 << 20, ge=1, description="frames of one camera that wait to be stored")
    max_frame_side: int = Field(_DEFAULTS.max_side, ge=64, description="pixels, either side of a frame")
    max_clip_frames: int = Field(_DEFAULTS.max_frames, ge=2, description="frames in one clip")
    max_decoded_bytes: int = Field(_DEFAULTS.max_decoded_bytes, ge=1, description="decoded size of one clip")
    decode_jobs: int = Field(2, ge=1, description="uploads that decode at the same time; others wait")
    decode_threads: int = Field(0, ge=0, description="threads of one decoder; 0 lets it choose")

    @property
    def spool_limits(self) -> SpoolLimits:
        """What uploads may take before they are clips."""
        pace = Pace(self.min_upload_bytes_per_second, self.upload_window_seconds)
        return SpoolLimits(self.max_upload_bytes, self.spool_bytes, self.upload_ttl_seconds, pace)

    @property
    def housekeeping_seconds(self) -> float:
        """Pause between two rounds of clearing up: often enough for what expires."""
        return min(600.0, max(1.0, self.upload_ttl_seconds / 4))

    @property
    def live_limits(self) -> LiveLimits:
        """What cameras may take that send frames."""
        return LiveLimits(self.limits, self.live_streams, self.live_window_bytes)

    @property
    def limits(self) -> FootageLimits:
        """What one clip may take."""
        return FootageLimits(self.max_frame_side, self.max_clip_frames, self.max_decoded_bytes)

    @property
    def work_dir(self) -> Path:
        """Ingest's own folder in the state folder."""
        return self.state_dir.absolute() / "ingest"

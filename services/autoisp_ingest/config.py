"""Configuration of the ingest service."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from autoisp_runtime.config import ServiceConfig
from pydantic import Field

from autoisp_ingest.domain import FootageLimits

_DEFAULTS = FootageLimits()


class IngestConfig(ServiceConfig):
    """``AUTOISP_*`` variables of ingest."""

    service: ClassVar[str] = "ingest"

    max_upload_bytes: int = Field(8 << 30, ge=1, description="largest upload that is accepted")
    max_frame_side: int = Field(_DEFAULTS.max_side, ge=64, description="pixels, either side of a frame")
    max_clip_frames: int = Field(_DEFAULTS.max_frames, ge=2, description="frames in one clip")
    max_decoded_bytes: int = Field(_DEFAULTS.max_decoded_bytes, ge=1, description="decoded size of one clip")
    decode_jobs: int = Field(2, ge=1, description="uploads that decode at the same time; others wait")
    decode_threads: int = Field(0, ge=0, description="threads of one decoder; 0 lets it choose")

    @property
    def limits(self) -> FootageLimits:
        """What one clip may take."""
        return FootageLimits(self.max_frame_side, self.max_clip_frames, self.max_decoded_bytes)

    @property
    def work_dir(self) -> Path:
        """Ingest's own folder in the state folder."""
        return self.state_dir.absolute() / "ingest"

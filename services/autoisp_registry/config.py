"""Configuration of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from autoisp_runtime.config import ServiceConfig
from pydantic import Field


class RegistryConfig(ServiceConfig):
    """What every service is told, and how much may be uploaded at once."""

    service: ClassVar[str] = "registry"

    max_artifact_bytes: int = Field(2 << 30, ge=1, description="largest artifact that may be uploaded")

    @property
    def spool_dir(self) -> Path:
        """Where uploads wait until they are complete; this process alone uses it."""
        return self.state_dir / "spool" / self.service

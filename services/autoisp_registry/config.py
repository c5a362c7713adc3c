"""Configuration of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from autoisp_runtime.config import ServiceConfig
from pydantic import Field


class RegistryConfig(ServiceConfig):
    """What every service is told, and what the registry keeps and checks."""

    service: ClassVar[str] = "registry"

    retention_days: float = Field(30.0, ge=0, description="how long what was deleted can be restored")
    convert: bool = Field(True, description="have workers make edge formats of every version")
    max_graph_bytes: int = Field(512 << 20, ge=1, description="largest ONNX file that may be registered")
    max_artifact_bytes: int = Field(2 << 30, ge=1, description="largest artifact that may be uploaded")

    @property
    def spool_dir(self) -> Path:
        """Where uploads wait until they are complete; this process alone uses it."""
        return self.state_dir / "spool" / self.service

"""Configuration of the evaluation service."""

from __future__ import annotations

from typing import ClassVar

from autoisp_runtime.config import ServiceConfig


class EvaluationConfig(ServiceConfig):
    """What every service is told; the evaluation service needs no more."""

    service: ClassVar[str] = "evaluation"

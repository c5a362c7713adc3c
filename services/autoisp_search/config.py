"""Configuration: the search service needs nothing beyond what all services have."""

from __future__ import annotations

from typing import ClassVar

from autoisp_runtime.config import ServiceConfig


class SearchConfig(ServiceConfig):
    """Read from ``AUTOISP_*``."""

    service: ClassVar[str] = "search"

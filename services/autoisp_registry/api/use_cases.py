"""What the servicer calls; every area of the interface takes its own."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_registry.usecases import Models, Transfers


@dataclass(frozen=True)
class UseCases:
    """The use cases of the registry."""

    models: Models
    transfers: Transfers


class Area:
    """A part of the servicer."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

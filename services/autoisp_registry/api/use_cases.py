"""What the servicer calls; every area of the interface takes its own."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_registry.usecases import (
    Aliases,
    Auditing,
    Conversions,
    Deleting,
    Editing,
    Models,
    Promotion,
    Registering,
    RollingBack,
    Transfers,
)
from autoisp_registry.usecases.describing import Describing
from autoisp_registry.usecases.finding import Finding
from autoisp_registry.usecases.watching import Watching


@dataclass(frozen=True)
class UseCases:
    """The use cases of the registry."""

    models: Models
    registering: Registering
    editing: Editing
    deleting: Deleting
    aliases: Aliases
    promotion: Promotion
    rolling_back: RollingBack
    conversions: Conversions
    auditing: Auditing
    transfers: Transfers
    finding: Finding
    watching: Watching
    describing: Describing


class Area:
    """A part of the servicer."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

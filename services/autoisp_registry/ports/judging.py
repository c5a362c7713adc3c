"""What vouches for versions: checks, evaluations, signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from autoisp_core.artifact import Artifact
from autoisp_core.quality import Figures, GateReport

from autoisp_registry.domain import ModelVersion


class GraphChecker(Protocol):
    """Looks into what is to be registered."""

    async def check(self, onnx: Artifact, field: str) -> None:
        """Check that the bytes are a network of the model contract, without trusting them.

        Raises:
            InvalidArgumentError: they are not; names ``field``.
            ResourceExhaustedError: looking at them takes more than is allowed.
            NotFoundError, DataLossError: they are gone or damaged.
        """
        ...


@dataclass(frozen=True)
class JudgedEvaluation:
    """An evaluation that was kept, as gates see it.

    Attributes:
        figures: what was measured.
        gate_subject: the label of what its own gate judged; empty without one.
        report: what its own gate said; None without one.
    """

    figures: Figures
    gate_subject: str = ""
    report: GateReport | None = None


class Records(Protocol):
    """Reads evaluations that were kept."""

    async def read(self, record: Artifact) -> JudgedEvaluation:
        """The evaluation.

        Raises:
            NotFoundError: it is gone.
            DataLossError: it is damaged.
        """
        ...


class Signer(Protocol):
    """Signs versions."""

    async def sign(self, version: ModelVersion) -> Artifact | None:
        """A signed manifest of all files of the version as it is, kept as an artifact; None: nobody signs.

        Raises:
            UnavailableError, ResourceExhaustedError: the artifact store is away or full.
        """
        ...

"""All that is known of where a version came from, gathered from where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from autoisp_core.artifact import Artifact
from autoisp_core.quality.results import ClipResult, SubjectResult

from autoisp_registry.domain import Evidence, Model, ModelVersion

PROTOTYPE = "prototype"
"""Label of the subject that the others are compared with."""


@dataclass(frozen=True)
class Footage:
    """A part of a clip in a dataset: frames ``[first_frame, end_frame)``.

    Attributes:
        split: ``training``, ``validation`` or ``test``.
        source_sha256: of the bytes that were uploaded.
    """

    clip: str
    display_name: str
    split: str
    first_frame: int
    end_frame: int
    source_sha256: str
    source_size_bytes: int = 0


@dataclass(frozen=True)
class Judgement:
    """What an evaluation's record says; ``gate_passed`` is None where it had no gate."""

    evaluation: str
    state: str
    dataset: str
    split: str
    totals: tuple[SubjectResult, ...]
    clips: tuple[ClipResult, ...]
    gate_passed: bool | None = None
    gate_checks: tuple[str, ...] = ()

    def total(self, label: str) -> SubjectResult | None:
        """A subject's total; None if there is none."""
        return next((total for total in self.totals if total.label == label), None)

    def baseline(self, label: str) -> SubjectResult | None:
        """What the subject is compared with: the prototype, or else the first other one."""
        others = [total for total in self.totals if total.label != label]
        named = (total for total in others if total.label == PROTOTYPE)
        return next(named, others[0] if others else None)


@dataclass(frozen=True)
class Provenance:
    """A version with what its references lead to; a problem in words stands for what is missing.

    Attributes:
        footage: of its dataset.
        judgements: one for each of the version's evidence, in its order.
        absent: digests of files that are not in the artifact store.
    """

    model: Model
    version: ModelVersion
    footage: tuple[Footage, ...] | str
    judgements: tuple[tuple[Evidence, Judgement | str], ...]
    absent: frozenset[str] = frozenset()

    @property
    def newest(self) -> tuple[Evidence, Judgement] | None:
        """The newest evidence that can be read and judged the version."""
        for evidence, judgement in reversed(self.judgements):
            if isinstance(judgement, Judgement) and judgement.total(evidence.label) is not None:
                return evidence, judgement
        return None


class Origins(Protocol):
    """Reads what references lead to."""

    async def footage(self, manifest: Artifact) -> Sequence[Footage]:
        """The entries of a DatasetManifest, in its order.

        Raises:
            NotFoundError, DataLossError: it is gone, or damaged.
        """
        ...

    async def judgement(self, record: Artifact) -> Judgement:
        """What an evaluation's record says.

        Raises:
            NotFoundError, DataLossError: it is gone, or damaged.
        """
        ...

    async def present(self, artifact: Artifact) -> bool:
        """Whether the bytes are in the artifact store."""
        ...

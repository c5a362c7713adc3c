"""Versions: what was registered, and beside it what may change and what comes later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from autoisp_core import names
from autoisp_core.artifact import Artifact

from autoisp_registry.domain.content import Content
from autoisp_registry.domain.etags import etag_of, require_etag
from autoisp_registry.domain.formats import ONNX_FP32, Conversion, ConversionState, EdgeFormat

MAX_EVIDENCE = 100
"""Evaluations that are remembered of a version; the audit log tells of all."""


@dataclass(frozen=True)
class Evidence:
    """An evaluation that judged a version, kept as it was when it ended.

    Attributes:
        evaluation: ``evaluations/{e}``.
        label: of the subject that is the version.
        record: an ``autoisp.evaluation.v1.Evaluation``, serialised.
    """

    evaluation: str
    label: str
    record: Artifact
    create_time: datetime


def as_registered(content: Content) -> EdgeFormat:
    """The format that every version has from the start."""
    return EdgeFormat(ONNX_FP32, content.onnx, cost=content.cost)


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model; numbers begin at 1 and are never given twice.

    Attributes:
        content: what was registered; it never changes, nor does anything above it.
        description, tags: people's.
        evidence: the newest last.
        formats: what devices can run; ``onnx-fp32`` is the registered file.
        signed_manifest: a DSSE envelope over all files; None: it was not signed.
        delete_time, purge_time: set while it is deleted.
        revision: grows with every change.
        aliases: those of the model that point at it; the model's to change, not the version's.
    """

    model: str
    number: int
    content: Content
    create_time: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    formats: tuple[EdgeFormat, ...] = ()
    conversion: Conversion = field(default_factory=Conversion)
    signed_manifest: Artifact | None = None
    delete_time: datetime | None = None
    purge_time: datetime | None = None
    revision: int = 1
    aliases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``models/{m}/versions/{v}``."""
        return names.model_version_name(names.id_of(self.model), str(self.number))

    @property
    def etag(self) -> str:
        """Changes with every change of the version."""
        return etag_of(self.revision)

    @property
    def deleted(self) -> bool:
        """Whether it waits to be purged or restored."""
        return self.delete_time is not None

    @property
    def by_hand(self) -> bool:
        """Whether a person registered it: what a search found has what its gate said."""
        return self.content.gate is None

    def require_etag(self, etag: str) -> None:
        """Check that the caller saw the version as it is; an empty etag is not checked.

        Raises:
            AbortedError: it changed since.
        """
        require_etag(self.name, self.etag, etag)

    def changed(self, **changes: Any) -> ModelVersion:
        """The version after a change of what may change."""
        return replace(self, **changes, revision=self.revision + 1)

    def with_formats(self, made: Iterable[EdgeFormat]) -> ModelVersion:
        """The version with formats of a conversion that ended, over those of the same names.

        Whatever is said of it, ``onnx-fp32`` is the file that was registered.
        """
        formats = {form.format: form for form in (*self.formats, *made)}
        plain = formats.pop(ONNX_FP32, as_registered(self.content))
        plain = replace(plain, artifact=self.content.onnx, failure=None)
        conversion = replace(self.conversion, state=ConversionState.SUCCEEDED, failure=None)
        return self.changed(formats=(plain, *formats.values()), conversion=conversion)

    def with_evidence(self, evidence: Evidence) -> ModelVersion:
        """The version with one more evaluation, without the oldest of too many; itself if it is there."""
        known = any((e.evaluation, e.label) == (evidence.evaluation, evidence.label) for e in self.evidence)
        return self if known else self.changed(evidence=(*self.evidence, evidence)[-MAX_EVIDENCE:])

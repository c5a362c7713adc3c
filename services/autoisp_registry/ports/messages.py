"""What changes have to say to others."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.artifact import Artifact

from autoisp_registry.audit import AuditEntry
from autoisp_registry.domain import Model, ModelVersion


@dataclass(frozen=True)
class VersionRegistered:
    """Event: there is a new version."""

    version: ModelVersion


@dataclass(frozen=True)
class VersionPromoted:
    """Event: ``alias`` points at version ``number`` of ``model`` since the model's ``revision``."""

    model: str
    number: int
    alias: str
    revision: int


@dataclass(frozen=True)
class ModelChanged:
    """Event: any change of a model or of one of its versions; ``model`` is as it is after it."""

    entry: AuditEntry
    model: Model


@dataclass(frozen=True)
class ConvertVersion:
    """Command: make the edge formats of a version, whose ``conversion`` says which request this is.

    Attributes:
        manifest: of the dataset whose clips calibrate and judge; None: there is no footage.
        formats: to make; empty: all that the worker makes.
    """

    version: ModelVersion
    manifest: Artifact | None = None
    formats: tuple[str, ...] = ()


Message = VersionRegistered | VersionPromoted | ModelChanged | ConvertVersion

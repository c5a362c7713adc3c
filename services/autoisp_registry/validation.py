"""What may be registered; every complaint names the field as the request's proto spells it."""

from __future__ import annotations

import math
import re

from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec

from autoisp_registry.domain import LATEST, Content, Lineage

MAX_METRICS = 200
MAX_SPEC_CHARS = 65_536

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,62}")
_METRIC = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,127}")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")


def validate_request_id(request_id: str) -> None:
    """Check the key of an idempotent request.

    Raises:
        InvalidArgumentError: it is too long or not printable ASCII.
    """
    if len(request_id) > 128 or not (request_id.isascii() and request_id.isprintable()):
        raise InvalidArgumentError(
            "request_id", "request_id must be at most 128 printable ASCII characters, for example a UUID"
        )


def validate_content(content: Content) -> None:
    """Check what a person wants to register.

    Raises:
        InvalidArgumentError: naming the field.
    """
    if len(content.metrics) > MAX_METRICS:
        raise InvalidArgumentError("model_version.metrics", f"give at most {MAX_METRICS} metrics")
    for name, value in content.metrics.items():
        if not _METRIC.fullmatch(name):
            raise InvalidArgumentError(
                "model_version.metrics",
                f"{name!r} can't name a metric; use a letter, then up to 127 letters, digits or _ . / -",
            )
        if not math.isfinite(value):
            raise InvalidArgumentError(
                f"model_version.metrics.{name}", f"{name} is {value}; leave out what is not a number"
            )
    _validate_lineage(content.lineage)
    _validate_spec(content.spec)


def validate_stored(wanted: Artifact, stored: Artifact) -> None:
    """Check that the store's bytes are as many as the caller believes.

    Raises:
        InvalidArgumentError: they are not.
    """
    if wanted.size_bytes != stored.size_bytes:
        raise InvalidArgumentError(
            "model_version.onnx.size_bytes",
            f"the stored bytes of that digest are {stored.size_bytes}, not {wanted.size_bytes}; use the "
            "artifact that UploadArtifact answered",
        )


def validate_alias(alias: str) -> None:
    """Check a new alias.

    Raises:
        InvalidArgumentError: it could be mistaken for a number or for ``latest``, or is no id.
    """
    if not _ALIAS.fullmatch(alias) or alias == LATEST:
        raise InvalidArgumentError(
            "alias",
            f"{alias!r} can't be an alias; use a lowercase letter, then up to 62 lowercase letters, digits "
            f"or '-', and not {LATEST!r}, which always means the newest version",
        )


def validate_media_type(media_type: str) -> None:
    """Check the media type of an upload.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidArgumentError(
            "header.media_type", f"{media_type!r} is no media type; give one such as 'application/onnx'"
        )


def _validate_lineage(lineage: Lineage) -> None:
    for field, pattern in (
        ("dataset", names.DATASET),
        ("search", names.SEARCH),
        ("trial", names.TRIAL),
        ("evaluation", names.EVALUATION),
    ):
        name = getattr(lineage, field)
        if name:
            pattern.parse(name, f"model_version.lineage.{field}")


def _validate_spec(spec: str) -> None:
    if not spec:
        return
    if len(spec) > MAX_SPEC_CHARS:
        raise InvalidArgumentError("model_version.spec", f"a spec has at most {MAX_SPEC_CHARS} characters")
    try:
        Spec.from_json(spec)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            "model_version.spec",
            f"the spec is wrong: {error.message}; leave it empty for a network made elsewhere",
            reason=error.reason,
        ) from error

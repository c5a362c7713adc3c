"""What may be registered; every complaint names the field as the request's proto spells it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality.results import Cost
from autoisp_core.spec import Spec

from autoisp_registry.domain import LATEST, Content, Lineage, Sensor

MAX_METRICS = 200
MAX_SPEC_CHARS = 65_536
MAX_PROFILE_CHARS = 65_536
MAX_NAME_CHARS = 128

MAX_TAGS = 64
MAX_TAG_CHARS = 256
MAX_DESCRIPTION_CHARS = 10_000
MAX_DISPLAY_NAME_CHARS = 200
MAX_COMMENT_CHARS = 1_000
MAX_FORMATS = 32

_TAG = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_FORMAT = re.compile(r"[a-z][a-z0-9-]{0,62}")
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


def version_number(name: str, field: str = "name") -> tuple[str, int]:
    """The model and the number of ``models/{m}/versions/{v}``, where ``{v}`` is a number.

    Raises:
        InvalidArgumentError: the name has another form.
    """
    model_id, number = names.MODEL_VERSION.parse(name, field)
    if not number.isdigit() or len(number) > 9 or str(int(number)) != number:
        raise InvalidArgumentError(
            field, f"{field} {name!r} must say the version by number", reason="INVALID_NAME"
        )
    return names.model_name(model_id), int(number)


def validate_tag_key(key: str, field: str) -> None:
    """Check the name of a tag.

    Raises:
        InvalidArgumentError: it has another form.
    """
    if not _TAG.fullmatch(key):
        raise InvalidArgumentError(
            field,
            f"{key[:100]!r} can't name a tag; use a lowercase letter, then up to 62 lowercase letters, "
            "digits or _ . -",
        )


def validate_tags(tags: Mapping[str, str], field: str) -> None:
    """Check all tags of a model or version.

    Raises:
        InvalidArgumentError: there are too many, or one has another form.
    """
    if len(tags) > MAX_TAGS:
        raise InvalidArgumentError(field, f"{len(tags)} tags are too many; keep at most {MAX_TAGS}")
    for key, value in tags.items():
        validate_tag_key(key, field)
        if len(value) > MAX_TAG_CHARS or not value.isprintable():
            raise InvalidArgumentError(
                f"{field}.{key}", f"the tag {key} must have at most {MAX_TAG_CHARS} printable characters"
            )


def validate_description(description: str, field: str) -> None:
    """Check a text for people.

    Raises:
        InvalidArgumentError: it is too long.
    """
    if len(description) > MAX_DESCRIPTION_CHARS:
        raise InvalidArgumentError(
            field, f"the description has {len(description)} characters; keep it to {MAX_DESCRIPTION_CHARS:,}"
        )


def validate_display_name(display_name: str, field: str) -> None:
    """Check a name for people.

    Raises:
        InvalidArgumentError: it is empty, too long, or not printable.
    """
    if not 1 <= len(display_name) <= MAX_DISPLAY_NAME_CHARS or not display_name.isprintable():
        raise InvalidArgumentError(
            field, f"display_name must have 1 to {MAX_DISPLAY_NAME_CHARS} printable characters"
        )


def validate_comment(comment: str) -> None:
    """Check why somebody does something.

    Raises:
        InvalidArgumentError: it is too long.
    """
    if len(comment) > MAX_COMMENT_CHARS:
        raise InvalidArgumentError(
            "comment", f"the comment has {len(comment)} characters; keep it to {MAX_COMMENT_CHARS:,}"
        )


def validate_formats(formats: Sequence[str]) -> None:
    """Check names of formats.

    Raises:
        InvalidArgumentError: there are too many, or one has another form.
    """
    if len(formats) > MAX_FORMATS:
        raise InvalidArgumentError("formats", f"name at most {MAX_FORMATS} formats")
    for name in formats:
        if not _FORMAT.fullmatch(name):
            raise InvalidArgumentError(
                "formats", f"{name[:100]!r} names no format; name some such as 'onnx-int8', or none for all"
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
    if content.cost is not None:
        _validate_cost(content.cost)
    if content.onnx.media_type:
        validate_media_type(content.onnx.media_type, "model_version.onnx.media_type")
    if content.sensor is not None:
        _validate_sensor(content.sensor)
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


def validate_media_type(media_type: str, field: str = "header.media_type") -> None:
    """Check the media type of a file.

    Raises:
        InvalidArgumentError: it is none.
    """
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidArgumentError(
            field, f"{media_type[:200]!r} is no media type; give one such as 'application/onnx'"
        )


def _validate_cost(cost: Cost) -> None:
    for name, value in vars(cost).items():
        if value is not None and not 0 <= value < math.inf:
            raise InvalidArgumentError(
                f"model_version.cost.{name}", f"{name} is {value}; give 0 or more, or leave it out"
            )


def _validate_sensor(sensor: Sensor) -> None:
    if len(sensor.builtin) > MAX_NAME_CHARS or not sensor.builtin.isprintable():
        raise InvalidArgumentError(
            "model_version.sensor.builtin",
            f"a name has at most {MAX_NAME_CHARS} printable characters",
        )
    if len(sensor.toml) > MAX_PROFILE_CHARS:
        raise InvalidArgumentError(
            "model_version.sensor.toml", f"a sensor profile has at most {MAX_PROFILE_CHARS} characters"
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
    builtin = lineage.prototype.builtin if lineage.prototype else ""
    if len(builtin) > MAX_NAME_CHARS or not builtin.isprintable():
        raise InvalidArgumentError(
            "model_version.lineage.prototype.builtin",
            f"a prototype's name has at most {MAX_NAME_CHARS} printable characters",
        )


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

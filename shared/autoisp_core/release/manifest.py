"""The manifest of a version: which files it has, what they are, and where they came from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.release import strict_json
from autoisp_core.release.strict_json import bad

SCHEMA = 1
"""Of the JSON. A reader refuses another one: what it does not understand may matter."""

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILES = 100

_KEYS = ("schema", "model", "version", "create_time", "lineage", "files")
_FILE_KEYS = ("format", "name", "sha256", "size_bytes", "media_type")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# No separators of any system, no leading dot: it can't lead out of its folder, nor hide in it.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_SUFFIXES = {"onnx": ".onnx", "executorch": ".pte"}


def file_name(format: str) -> str:
    """The name of the file that holds a format, beside a version's manifest.

    >>> file_name("onnx-int8"), file_name("executorch-xnnpack")
    ('onnx-int8.onnx', 'executorch-xnnpack.pte')
    """
    return format + _SUFFIXES.get(format.partition("-")[0], ".bin")


def media_type_of(text: str) -> str:
    """``text`` if it is a media type, else that of any bytes: whoever registers may have said anything."""
    return text if _MEDIA_TYPE.fullmatch(text) else "application/octet-stream"


@dataclass(frozen=True)
class ReleaseFile:
    """One file of a version.

    Attributes:
        format: such as ``onnx-int8``.
        name: of the file, without folders.
        sha256: 64 lowercase hexadecimal characters.
        size_bytes: at least 1.
        media_type: such as ``application/onnx``.

    Raises:
        InvalidArgumentError: something of it is malformed.
    """

    format: str
    name: str
    sha256: str
    size_bytes: int
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        for key, pattern in (
            ("format", _FORMAT),
            ("name", _NAME),
            ("sha256", _SHA256),
            ("media_type", _MEDIA_TYPE),
        ):
            value = getattr(self, key)
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise bad(f"files.{key}", f"{value!r} can't be one")
        if type(self.size_bytes) is not int or self.size_bytes < 1:
            raise bad("files.size_bytes", f"{self.size_bytes!r} is no size")


@dataclass(frozen=True)
class ManifestLineage:
    """Where a version came from; empty fields are unknown.

    Attributes:
        dataset: ``datasets/{d}``.
        dataset_manifest_sha256: of the dataset's manifest, which names the footage by digest.
        search: ``searches/{s}``.
        trial: ``searches/{s}/trials/{t}``.
        evaluation: ``evaluations/{e}``: the newest that judged it.
        evidence_sha256: of that evaluation's record.
    """

    dataset: str = ""
    dataset_manifest_sha256: str = ""
    search: str = ""
    trial: str = ""
    evaluation: str = ""
    evidence_sha256: str = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not isinstance(value, str) or len(value) > 256:
                raise bad(f"lineage.{item.name}", f"{str(value)[:40]!r} can't be one")
            if value and item.name.endswith("sha256") and not _SHA256.fullmatch(value):
                raise bad(f"lineage.{item.name}", f"{value!r} is no SHA-256")


_LINEAGE_KEYS = tuple(item.name for item in fields(ManifestLineage))


@dataclass(frozen=True)
class Manifest:
    """What a signature is over.

    Attributes:
        model: ``models/{m}``.
        version: its number, from 1.
        create_time: of the version, in UTC.
        files: by format, at most :data:`MAX_FILES`, with distinct formats and names.
        lineage: where it came from.

    Raises:
        InvalidArgumentError: something of it is malformed.
    """

    model: str
    version: int
    create_time: datetime
    files: tuple[ReleaseFile, ...]
    lineage: ManifestLineage = field(default_factory=ManifestLineage)

    def __post_init__(self) -> None:
        names.MODEL.parse(self.model, "model")
        if type(self.version) is not int or self.version < 1:
            raise bad("version", f"{self.version!r} is no version's number")
        if not 1 <= len(self.files) <= MAX_FILES:
            raise bad("files", f"there are {len(self.files)} of them; 1 to {MAX_FILES} are allowed")
        # Some file systems don't tell upper from lower case.
        for values in ([f.format for f in self.files], [f.name.lower() for f in self.files]):
            if len(set(values)) != len(values):
                raise bad("files", "two of them have the same format or name")

    @property
    def name(self) -> str:
        """``models/{m}/versions/{v}``."""
        return f"{self.model}/versions/{self.version}"

    def to_json(self) -> bytes:
        """The one way to write it: keys sorted, no spaces, ASCII, files by format."""
        return json.dumps(
            {
                "schema": SCHEMA,
                "model": self.model,
                "version": self.version,
                "create_time": self.create_time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "lineage": {key: getattr(self.lineage, key) for key in _LINEAGE_KEYS},
                "files": [
                    {key: getattr(file, key) for key in _FILE_KEYS}
                    for file in sorted(self.files, key=lambda file: file.format)
                ],
            },
            sort_keys=True,
            separators=(",", ":"),
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Read what :meth:`to_json` wrote; only what is signed deserves to be read.

        Raises:
            InvalidArgumentError: it is something else, or of a schema that this reader does not know.
        """
        found = _object(data)
        files, lineage = found["files"], found["lineage"]
        if not isinstance(files, list):
            raise bad("files", "it must be a list")
        return cls(
            strict_json.text(found["model"], "model"),
            found["version"],
            _time(found["create_time"]),
            tuple(ReleaseFile(**strict_json.checked_object(f, "files", _FILE_KEYS)) for f in files),
            ManifestLineage(**strict_json.checked_object(lineage, "lineage", _LINEAGE_KEYS)),
        )


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = strict_json.read_object(data, "manifest", _KEYS, MAX_MANIFEST_BYTES)
    except InvalidArgumentError as error:
        raise bad("manifest", f"{error.message}; it may be of a newer schema than {SCHEMA}") from error
    if found["schema"] != SCHEMA or type(found["schema"]) is not int:
        raise bad("schema", f"it is {found['schema']!r}, and this reader knows {SCHEMA}; get a newer one")
    return found


def _time(value: object) -> datetime:
    try:
        time = datetime.fromisoformat(strict_json.text(value, "create_time"))
    except ValueError as error:
        raise bad("create_time", f"{value!r} is no time") from error
    if time.tzinfo is None:
        raise bad("create_time", f"{value!r} says no time zone")
    return time.astimezone(UTC)

"""Bytes in and out of the artifact store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError, NotFoundError, OutOfRangeError
from autoisp_core.release import MANIFEST_FORMAT
from autoisp_runtime.uploads import spool

from autoisp_registry import validation
from autoisp_registry.domain import ONNX_FP32, ModelVersion
from autoisp_registry.ports import Artifacts
from autoisp_registry.usecases.models import Models

DOWNLOAD_CHUNK_BYTES = 1 << 19

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORMAT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Announced:
    """What the sender says that it will send."""

    media_type: str
    size_bytes: int
    sha256: str


class Transfers:
    """The use cases about bytes.

    Args:
        models: resolves versions to files.
        artifacts: the store.
        spool_dir: where uploads wait until they are complete.
        quota_bytes: largest upload.
    """

    def __init__(self, models: Models, artifacts: Artifacts, spool_dir: Path, quota_bytes: int) -> None:
        self._models = models
        self._artifacts = artifacts
        self._spool_dir = spool_dir
        self._quota_bytes = quota_bytes

    async def upload(self, announced: Announced, chunks: AsyncIterable[bytes]) -> Artifact:
        """Store the bytes of ``chunks``; nothing is stored unless they are what was announced.

        Raises:
            InvalidArgumentError: the announcement is malformed, or the bytes are others.
            ResourceExhaustedError: over the quota, or the disk or store is full.
        """
        validation.validate_media_type(announced.media_type)
        async with spool(
            chunks,
            directory=self._spool_dir,
            size_bytes=announced.size_bytes,
            sha256=announced.sha256,
            quota_bytes=self._quota_bytes,
        ) as file:
            return await self._artifacts.put_file(file.path, announced.media_type, sha256=file.sha256)

    async def find_version(self, name: str, format: str = "") -> Artifact:
        """A file of ``models/{m}/versions/{v}``.

        Args:
            name: of the version.
            format: such as ``onnx-int8``; empty: its ONNX file; ``manifest``: the signed manifest.

        Raises:
            InvalidArgumentError: the name or the format has another form.
            NotFoundError: there is no such version, it has no such format, or the file is gone.
        """
        if format and not _FORMAT.fullmatch(format):
            raise InvalidArgumentError(
                "format", f"{format[:80]!r} can't be a format; give one such as 'onnx-int8', or 'manifest'"
            )
        try:
            version = await self._models.get_version(name)
        except InvalidArgumentError as error:
            raise InvalidArgumentError("model_version", error.message, reason=error.reason) from error
        artifact = _file_of(version, format)
        if await self._artifacts.find(artifact.sha256) is None:
            raise _gone(artifact.uri, f"the file of {version.name} is not in the artifact store any more")
        return artifact

    async def find_digest(self, sha256: str) -> Artifact:
        """The artifact with this digest.

        Raises:
            InvalidArgumentError: it is no SHA-256.
            NotFoundError: there is none.
        """
        if not _SHA256.fullmatch(sha256):
            raise InvalidArgumentError(
                "sha256", f"{sha256!r} is no SHA-256; give 64 lowercase hexadecimal characters"
            )
        artifact = await self._artifacts.find(sha256)
        if artifact is None:
            raise _gone(f"blobs/{sha256[:2]}/{sha256}", f"there is no artifact with the digest {sha256}")
        return artifact

    def stream(self, artifact: Artifact, offset: int = 0, length: int = 0) -> AsyncIterator[bytes]:
        """The bytes from ``offset`` on, in pieces of at most :data:`DOWNLOAD_CHUNK_BYTES`.

        All of them are checked while they go by, if they were not since they were written: who fetches them
        checks them too. Of a part, only the size that is stored.

        Args:
            artifact: what is read.
            offset: the first byte; the artifact's size gives nothing.
            length: at most so many bytes; 0 means up to the end.

        Raises:
            OutOfRangeError: at once, if there is no such range.
            NotFoundError: they are gone.
            DataLossError: they are damaged; known only after the last piece.
        """
        for field, value, limit in (("offset", offset, artifact.size_bytes), ("length", length, None)):
            if value < 0 or (limit is not None and value > limit):
                raise OutOfRangeError(
                    f"{field} {value} is outside of {artifact.sha256}, which has {artifact.size_bytes} "
                    "bytes; ask for bytes that it has",
                    metadata={"field": field, "size_bytes": str(artifact.size_bytes)},
                )
        rest = artifact.size_bytes - offset
        return self._artifacts.stream(
            artifact,
            DOWNLOAD_CHUNK_BYTES,
            offset=offset,
            length=min(length, rest) if length else rest,
            recheck=False,
        )


def _file_of(version: ModelVersion, format: str) -> Artifact:
    files = {one.format: one.artifact for one in version.formats if one.artifact is not None}
    files = {"": version.content.onnx, ONNX_FP32: version.content.onnx} | files
    if version.signed_manifest is not None:
        files[MANIFEST_FORMAT] = version.signed_manifest
    if format in files:
        return files[format]
    failed = next((one.failure for one in version.formats if one.format == format and one.failure), None)
    raise NotFoundError(
        version.name,
        f"{version.name} has no {format}"
        + (f": it could not be made ({failed.message})" if failed else "")
        + f"; it has {', '.join(sorted(filter(None, files)))}",
        reason="NO_FORMAT",
        metadata={"format": format},
    )


def _gone(uri: str, message: str) -> NotFoundError:
    return NotFoundError(uri, f"{message}; upload it again", reason="NO_ARTIFACT")

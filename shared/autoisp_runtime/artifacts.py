"""The artifact store: bytes by digest, results by key, clips as Zarr; a local folder or S3, through obstore.

Every write is atomic: a reader sees all of it or nothing, also when the writer dies or the disk fills up.
Methods block; from an event loop use :class:`autoisp_runtime.async_artifacts.AsyncArtifactStore`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    ResourceExhaustedError,
    UnavailableError,
)
from obstore.exceptions import AlreadyExistsError as ObjectExistsError
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store, from_url

if TYPE_CHECKING:
    from zarr.storage import ObjectStore

CHUNK_BYTES = 512 * 1024
"""Default size of streamed pieces: gRPC is fastest at 256 KiB to 1 MiB."""

_MAX_CHECKED = 10_000
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
# object_store passes the system's own words on: full disk, quota, file size limit.
_FULL = re.compile(r"os error (28|122|27)\b|No space left|StorageFull|QuotaExceeded|EntityTooLarge")


def says_full(error: BaseException) -> bool:
    """Whether a store's own exception means that no space is left."""
    return _FULL.search(str(error)) is not None


class ArtifactStore:
    """Stores and finds bytes; safe to use from several threads and processes at once.

    Args:
        url: ``file:///folder`` (made if missing), a plain folder, or ``s3://bucket/prefix`` (credentials and
            endpoint from the usual ``AWS_*`` variables).

    Raises:
        InvalidArgumentError: another kind of URL.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = _open(url, "")
        self._checked: dict[str, str] = {}  # by URI, the entity tag of what iter_bytes found to be right

    def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """Store ``data`` under its digest; storing the same bytes again changes nothing.

        Raises:
            ResourceExhaustedError: the store is full; nothing was written.
            UnavailableError: the store can't be reached.
        """
        artifact = _artifact(hashlib.sha256(data).hexdigest(), len(data), media_type)
        if not self._has(artifact.uri, artifact.size_bytes):
            with self._typed_errors(artifact.uri):
                obstore.put(self._store, artifact.uri, data)
        return artifact

    def put_file(
        self, path: Path, media_type: str = "application/octet-stream", *, sha256: str = ""
    ) -> Artifact:
        """As :meth:`put_bytes`, for a file that need not fit into memory.

        Args:
            path: of the file.
            media_type: as everywhere.
            sha256: the file's digest, from who has just computed it; computed here if empty.

        Raises:
            ResourceExhaustedError: the store is full; nothing was written.
            UnavailableError: the store can't be reached.
        """
        if not sha256:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        artifact = _artifact(sha256, path.stat().st_size, media_type)
        if not self._has(artifact.uri, artifact.size_bytes):
            with self._typed_errors(artifact.uri), path.open("rb") as file:
                obstore.put(self._store, artifact.uri, file)
        return artifact

    def get_bytes(self, artifact: Artifact) -> bytes:
        """The bytes, checked.

        Raises:
            NotFoundError: they are not there.
            DataLossError: size or digest differ.
            UnavailableError: the store can't be reached.
        """
        with self._typed_errors(artifact.uri):
            data = bytes(obstore.get(self._store, artifact.uri).bytes())
        _check(artifact, hashlib.sha256(data).hexdigest(), len(data))
        return data

    def get_file(self, artifact: Artifact, path: Path) -> Path:
        """Write the bytes to ``path``, checked and at once: after an error there is no file.

        Raises:
            NotFoundError, DataLossError, UnavailableError: as :meth:`get_bytes`.
        """
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                for chunk in self.iter_bytes(artifact):
                    file.write(chunk)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        return path

    def iter_bytes(
        self,
        artifact: Artifact,
        chunk_bytes: int = CHUNK_BYTES,
        *,
        offset: int = 0,
        length: int | None = None,
        recheck: bool = True,
    ) -> Iterator[bytes]:
        """The bytes in pieces of at most ``chunk_bytes``; all of them are checked after the last piece.

        Args:
            artifact: what is read.
            chunk_bytes: longest piece.
            offset: the first byte.
            length: how many; None means up to the end. Of a part, only the artifact's size can be checked.
            recheck: False for who checks what arrives: an object is then read through SHA-256 once, and again
                when the store says that it was written since.

        Raises:
            OutOfRangeError: the range is not inside the artifact.
            NotFoundError, DataLossError, UnavailableError: as :meth:`get_bytes`.
        """
        end = artifact.size_bytes if length is None else offset + length
        _check_range(artifact, offset, end)
        with self._typed_errors(artifact.uri):
            meta = obstore.head(self._store, artifact.uri)
        if meta["size"] != artifact.size_bytes:
            _check(artifact, artifact.sha256, meta["size"])
        tag = meta["e_tag"] or ""
        known = not recheck and tag and self._checked.get(artifact.uri) == tag
        whole = (offset, end) == (0, artifact.size_bytes)
        digest = hashlib.sha256() if whole and not known else None
        while offset < end:
            chunk = self.read_range(artifact, offset, min(chunk_bytes, end - offset))
            if digest is not None:
                digest.update(chunk)
            offset += len(chunk)
            yield chunk
        if digest is not None:
            _check(artifact, digest.hexdigest(), offset)
            if len(self._checked) >= _MAX_CHECKED:
                self._checked.clear()
            self._checked[artifact.uri] = tag

    def read_range(self, artifact: Artifact, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; not checked against the digest.

        Raises:
            OutOfRangeError: the range is not inside the artifact.
            NotFoundError, UnavailableError: as :meth:`get_bytes`.
        """
        _check_range(artifact, offset, offset + length)
        if length == 0:
            return b""
        with self._typed_errors(artifact.uri):
            return bytes(obstore.get_range(self._store, artifact.uri, start=offset, length=length))

    def put_object(self, key: str, data: bytes | memoryview) -> None:
        """Store ``data`` as the object ``key`` of something that :meth:`delete_prefix` deletes as a whole.

        Raises:
            InvalidArgumentError: that is no key.
            ResourceExhaustedError, UnavailableError: as :meth:`put_bytes`.
        """
        with self._typed_errors(_check_key(key)):
            # Into a folder in one go: parts would be copied once more.
            obstore.put(self._store, key, data, use_multipart=not isinstance(self._store, LocalStore))

    def put_result(self, key: str, data: bytes, *, overwrite: bool = False) -> bool:
        """Store ``data`` under ``results/<key>``; the first writer wins unless ``overwrite``.

        Returns:
            False when there was a result already and it was kept.

        Raises:
            InvalidArgumentError: the key has characters other than letters, digits, ``.``, ``_``, ``-``,
                ``/``.
            ResourceExhaustedError, UnavailableError: as :meth:`put_bytes`.
        """
        path = _result_path(key)
        try:
            with self._typed_errors(path):
                obstore.put(self._store, path, data, mode="overwrite" if overwrite else "create")
        except ObjectExistsError:
            return False
        return True

    def get_result(self, key: str) -> bytes | None:
        """What was stored under ``key``, or None."""
        path = _result_path(key)
        try:
            with self._typed_errors(path):
                return bytes(obstore.get(self._store, path).bytes())
        except NotFoundError:
            return None

    def delete_result(self, key: str) -> None:
        """Delete the result, if there is one."""
        self._delete(_result_path(key))

    def exists(self, artifact: Artifact) -> bool:
        """Whether the artifact is there with the right size."""
        return self._has(artifact.uri, artifact.size_bytes)

    def find(self, sha256: str, media_type: str = "application/octet-stream") -> Artifact | None:
        """The artifact with this digest, or None; what it holds is not recorded, so the caller says it.

        Raises:
            ValueError: ``sha256`` is not 64 lowercase hex characters.
            UnavailableError: the store can't be reached.
        """
        uri = _artifact(sha256, 0, media_type).uri
        try:
            with self._typed_errors(uri):
                size = int(obstore.head(self._store, uri)["size"])
        except NotFoundError:
            return None
        return _artifact(sha256, size, media_type)

    def delete(self, artifact: Artifact) -> None:
        """Delete the artifact, if it is there."""
        self._delete(artifact.uri)

    def delete_prefix(self, prefix: str) -> int:
        """Delete everything under ``prefix/`` (a clip's Zarr, say); returns how many objects that were."""
        _check_key(prefix)
        count = 0
        with self._typed_errors(prefix):
            for batch in obstore.list(self._store, prefix=prefix + "/"):
                paths = [meta["path"] for meta in batch]
                obstore.delete(self._store, paths)
                count += len(paths)
        if isinstance(self._store, LocalStore) and self._store.prefix:
            # Listing leaves out empty folders, and files that a killed writer had not finished.
            shutil.rmtree(Path(self._store.prefix) / prefix, ignore_errors=True)
        return count

    def zarr_store(self, prefix: str, *, read_only: bool = False) -> ObjectStore[Any]:
        """A store for ``zarr.open_group(store=…)`` under ``prefix`` (clips live at ``clips/<id>``)."""
        from zarr.storage import ObjectStore

        _check_key(prefix)
        return ObjectStore(_open(self.url, prefix), read_only=read_only)

    def ping(self) -> None:
        """Ask the store for a sign of life.

        Raises:
            UnavailableError: none came.
        """
        self._has("blobs/ping", 0)

    def _has(self, path: str, size: int) -> bool:
        try:
            with self._typed_errors(path):
                return bool(obstore.head(self._store, path)["size"] == size)
        except NotFoundError:
            return False

    def _delete(self, path: str) -> None:
        with contextlib.suppress(NotFoundError), self._typed_errors(path):
            obstore.delete(self._store, path)

    @contextlib.contextmanager
    def _typed_errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except ObjectExistsError:
            raise
        except FileNotFoundError as error:
            raise NotFoundError(
                path, f"the artifact store {self.url} has no {path}", reason="NO_ARTIFACT"
            ) from error
        except (BaseError, OSError) as error:
            if says_full(error):
                raise ResourceExhaustedError(
                    f"the artifact store {self.url} is full; free space there or point AUTOISP_STORE_URL "
                    "elsewhere (nothing was half-written)",
                    reason="STORE_FULL",
                    metadata={"store": self.url},
                ) from error
            raise UnavailableError(
                f"the artifact store {self.url} failed on {path}: {str(error).splitlines()[0]}",
                reason="STORE_UNAVAILABLE",
                metadata={"store": self.url},
            ) from error


def _open(url: str, prefix: str) -> LocalStore | S3Store:
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise _bad_url(url)
        return LocalStore(Path(unquote(parts.path)) / prefix, mkdir=True)
    if parts.scheme == "s3" and parts.netloc:
        store = from_url(f"{url.rstrip('/')}/{prefix}".rstrip("/"))
        assert isinstance(store, S3Store)
        return store
    raise _bad_url(url)


def _bad_url(url: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "store_url", f"the artifact store must be file:///FOLDER or s3://BUCKET/PREFIX, not {url!r}"
    )


def _artifact(sha256: str, size_bytes: int, media_type: str) -> Artifact:
    return Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, size_bytes, media_type)


def _check(artifact: Artifact, sha256: str, size_bytes: int) -> None:
    if (sha256, size_bytes) != (artifact.sha256, artifact.size_bytes):
        raise DataLossError(
            f"{artifact.uri} is damaged: {size_bytes} bytes with digest {sha256[:12]}… instead of "
            f"{artifact.size_bytes} with {artifact.sha256[:12]}…; delete it and make it again",
            reason="ARTIFACT_DAMAGED",
            metadata={"uri": artifact.uri},
        )


def _check_range(artifact: Artifact, start: int, end: int) -> None:
    if not 0 <= start <= end <= artifact.size_bytes:
        raise OutOfRangeError(
            f"bytes {start} to {end} are outside {artifact.uri} ({artifact.size_bytes} long)"
        )


def _result_path(key: str) -> str:
    return f"results/{_check_key(key)}"


def _check_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidArgumentError(
            "key", f"{key!r} is no key: use letters, digits, '.', '_', '-', with '/' between parts"
        )
    return key

"""Writing what a server streams: under a temporary name, checked, then renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from autoisp.common.v1 import common_pb2
from autoisp_core.errors import DataLossError, ResourceExhaustedError


class VerifiedFile:
    """A file that appears at ``path`` complete and with the right digest, or not at all.

    Use as a context manager: :meth:`write` what comes, then :meth:`commit`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Beside the target: a rename is atomic only within one file system.
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        except OSError as error:
            raise _disk_error(self._path, error) from error
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def write(self, chunk: bytes) -> None:
        """Appends a chunk.

        Raises:
            ResourceExhaustedError: the disk is full or can't be written.
        """
        try:
            self._file.write(chunk)
        except OSError as error:
            raise _disk_error(self._path, error) from error
        self._digest.update(chunk)
        self._size += len(chunk)

    def commit(self, artifact: common_pb2.Artifact, asked_sha256: str = "") -> None:
        """Gives the file its name, if it is what ``artifact`` says and what was asked for.

        Raises:
            DataLossError: size or digest differ.
            ResourceExhaustedError: the disk is full.
        """
        wanted = asked_sha256 or artifact.sha256
        if self._size != artifact.size_bytes or self._digest.hexdigest() != wanted:
            raise DataLossError(
                f"{wanted} arrived damaged ({self._size} of {artifact.size_bytes} bytes); download it again",
                reason="DIGEST_MISMATCH",
                metadata={"sha256": wanted},
            )
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            os.chmod(self._temporary, 0o644)
            os.replace(self._temporary, self._path)
        except OSError as error:
            raise _disk_error(self._path, error) from error


def _disk_error(path: Path, error: OSError) -> ResourceExhaustedError:
    return ResourceExhaustedError(
        f"can't write {path}: {error.strerror}; free some space or choose another folder",
        reason="DISK",
        metadata={"path": str(path)},
    )

"""What has come of a file that is being downloaded, in a hidden file beside its target."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autoisp_core.errors import ResourceExhaustedError

try:
    import fcntl
except ImportError:  # Windows: nothing is resumed by another process there
    fcntl = None  # type: ignore[assignment]

_READ_BYTES = 1 << 20


class PartialFile:
    """The first bytes of the file with the digest ``sha256``, in ``folder``. Blocks.

    Its name holds the digest, so that another process finds it and goes on. Whoever comes second while the
    first still writes gets a file of its own, which nobody resumes.

    Args:
        folder: made if missing; that of the target, for a rename is atomic only within one file system.
        sha256: 64 lowercase hexadecimal characters, of the whole file.

    Attributes:
        size: bytes that have come.

    Raises:
        ResourceExhaustedError: the folder can't be written.
    """

    def __init__(self, folder: Path, sha256: str) -> None:
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            descriptor, self._path, self._shared = _open(folder, sha256)
            self._file = os.fdopen(descriptor, "r+b", buffering=0)
            self._digest = hashlib.sha256()
            while block := self._file.read(_READ_BYTES):
                self._digest.update(block)
        self.size = self._file.tell()

    @property
    def sha256(self) -> str:
        """Of what has come."""
        return self._digest.hexdigest()

    def append(self, data: bytes) -> None:
        """Writes ``data`` behind what is there.

        Raises:
            ResourceExhaustedError: the disk is full; what has come stays.
        """
        rest = memoryview(data)
        with disk_errors(self._path):
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        self._digest.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Forgets what has come."""
        with disk_errors(self._path):
            self._file.seek(0)
            self._file.truncate()
        self._digest, self.size = hashlib.sha256(), 0

    def become(self, target: Path) -> None:
        """Gives the file its name, over one that has it.

        Raises:
            ResourceExhaustedError: the disk is full.
        """
        with disk_errors(target):
            os.fsync(self._file.fileno())
            os.chmod(self._path, 0o644)
            os.replace(self._path, target)
        self._file.close()

    def discard(self) -> None:
        """Deletes the file."""
        self.restart()
        self.close()

    def close(self) -> None:
        """Closes the file; it stays for whoever goes on, if there is anything in it."""
        if self._file.closed:
            return
        if not self._shared or self.size == 0:
            self._path.unlink(missing_ok=True)  # before the lock goes: later it might be another's
        self._file.close()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """What the disk refuses, as an error that names the path."""
    try:
        yield
    except OSError as error:
        raise ResourceExhaustedError(
            f"can't write {path}: {error.strerror}; free some space or choose another folder",
            reason="DISK",
            metadata={"path": str(path)},
        ) from error


def _open(folder: Path, sha256: str) -> tuple[int, Path, bool]:
    path = folder / f".{sha256}.part"
    while fcntl is not None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:  # another user's, or no file: if it is the folder itself, the next try says so
            break
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # in use, or on a file system without locks
            os.close(descriptor)
            break
        # Another may have given it its final name between our opening and our locking it: then look again.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(descriptor)):
                return descriptor, path, True
        os.close(descriptor)
    descriptor, name = tempfile.mkstemp(prefix=f".{sha256}.", suffix=".part", dir=folder)
    return descriptor, Path(name), False

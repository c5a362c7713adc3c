"""What has been received of files, one file each, named by digest and size.

The name holds all that must be known of an upload, so there is no second file that a killed process could
leave out of step with the first. Bytes go to the system unbuffered: what was taken survives the process.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PART_SUFFIX = ".part"

_NAME = re.compile(r"([0-9a-f]{64})-([1-9][0-9]*)\.part")
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Received:
    """An unfinished upload.

    Args:
        sha256: of the whole file, as announced.
        size_bytes: of the whole file, as announced.
        received_bytes: from the file's beginning.
        expire_time: when it is forgotten, unless it goes on.
    """

    sha256: str
    size_bytes: int
    received_bytes: int
    expire_time: datetime


class PartFiles:
    """The unfinished uploads in ``directory``, which belongs to this process alone. Blocks.

    Args:
        directory: made if missing.
        ttl_seconds: how long after its last byte a part is kept.
    """

    def __init__(self, directory: Path, ttl_seconds: float) -> None:
        self.directory = directory
        self._ttl_seconds = ttl_seconds

    def find(self, sha256: str) -> Received | None:
        """What has been received of the file with this digest, or None."""
        return next((part for part in self.all() if part.sha256 == sha256), None)

    def all(self) -> list[Received]:
        """Every unfinished upload."""
        found = []
        for path in self._paths():
            if (match := _NAME.fullmatch(path.name)) and (part := self._read(path, match)):
                found.append(part)
        return found

    def open(self, sha256: str, size_bytes: int, first_byte: int) -> PartFile:
        """Open a part to write from ``first_byte`` on; what was received beyond it is forgotten.

        Parts of the same digest and another size are deleted: one of the two was announced wrongly.

        Raises:
            OSError: the file can't be written, or no space is left.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.path(sha256, size_bytes)
        for other in self.directory.glob(f"{sha256}-*{PART_SUFFIX}"):
            if other != path:
                other.unlink(missing_ok=True)
        return PartFile(path, first_byte)

    def delete(self, sha256: str, size_bytes: int) -> None:
        """Delete the part, if there is one."""
        self.path(sha256, size_bytes).unlink(missing_ok=True)

    def path(self, sha256: str, size_bytes: int) -> Path:
        """Where the part lies, or would."""
        return self.directory / f"{sha256}-{size_bytes}{PART_SUFFIX}"

    def clear(self) -> int:
        """Delete what a killed process left and nobody can resume; returns how many files that were."""
        strays = [path for path in self._paths() if not _NAME.fullmatch(path.name)]
        for path in strays:
            path.unlink(missing_ok=True)
        return len(strays)

    def _paths(self) -> Iterator[Path]:
        return self.directory.glob(f"*{PART_SUFFIX}")

    def _read(self, path: Path, match: re.Match[str]) -> Received | None:
        try:
            status = path.stat()
        except FileNotFoundError:  # finished just now
            return None
        expire_time = datetime.fromtimestamp(status.st_mtime + self._ttl_seconds, UTC)
        return Received(match[1], int(match[2]), min(status.st_size, int(match[2])), expire_time)


class PartFile:
    """One part, open for writing. Blocks; used from one thread at a time.

    Args:
        path: made if missing.
        first_byte: where writing goes on, at most the file's size.

    Attributes:
        received_bytes: from the file's beginning.
    """

    def __init__(self, path: Path, first_byte: int) -> None:
        self.path = path
        self.received_bytes = first_byte
        self._digest = hashlib.sha256()
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
        try:
            self._file.truncate(first_byte)
            # Not what the time of the last byte says: a part that goes on must not expire meanwhile.
            os.utime(path, (time.time(), time.time()))
            while block := self._file.read(_READ_BYTES):
                self._digest.update(block)
        except OSError:
            self._file.close()
            raise

    def append(self, data: bytes) -> None:
        """Write ``data`` behind what is there.

        Raises:
            OSError: it can't be written; of ``data``, a part may be there.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) or 0 :]
        self._digest.update(data)
        self.received_bytes += len(data)

    def sha256(self) -> str:
        """Of what has been received, lower-case hexadecimal."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

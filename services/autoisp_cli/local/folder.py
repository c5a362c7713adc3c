"""The state folder of the embedded mode: databases, artifacts, broker and logs, for one run at a time."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from autoisp_client.endpoints import FILE_NAME
from autoisp_core.errors import FailedPreconditionError, ResourceExhaustedError

_KEPT_LOG_BYTES = 4 << 20
_LONGEST_LINE = 300


@dataclass(frozen=True)
class StateFolder:
    """Where things lie in the folder ``path``."""

    path: Path

    @property
    def endpoints_file(self) -> Path:
        """Addresses of the services, while they run."""
        return self.path / FILE_NAME

    @property
    def run(self) -> Path:
        """Port files, remade by every run."""
        return self.path / "run"

    @property
    def nats(self) -> Path:
        """What the broker keeps."""
        return self.path / "nats"

    @property
    def logs(self) -> Path:
        """One file for each process."""
        return self.path / "logs"

    def log(self, part: str) -> Path:
        """The log of one process."""
        return self.logs / f"{part}.log"

    def tail(self, part: str, lines: int = 6) -> str:
        """The end of a log, for an error message."""
        try:
            text = self.log(part).read_text("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(_shortened(line) for line in text.splitlines()[-lines:])

    def prepare(self) -> None:
        """Makes the folders, forgets the last run's ports and cuts logs that grew too long.

        Raises:
            ResourceExhaustedError: the folder can't be written.
        """
        try:
            for folder in (self.run, self.nats, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            for leftover in (*self.run.iterdir(), self.endpoints_file):
                leftover.unlink(missing_ok=True)
            for log in self.logs.iterdir():
                if log.stat().st_size > _KEPT_LOG_BYTES:
                    log.unlink()
        except OSError as error:
            raise unwritable(self.path, error) from error


class FolderLock:
    """Held by the one run that uses the folder; the kernel lets go of it whatever becomes of the process."""

    def __init__(self, folder: StateFolder) -> None:
        self._path = folder.path / "lock"
        self._folder = folder.path

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(self._folder, error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._handle, 32, 0).decode(errors="replace").strip()
            os.close(self._handle)
            raise in_use(self._folder, owner) from None
        try:
            os.truncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getppid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._handle)
            raise unwritable(self._folder, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)


def _shortened(line: str) -> str:
    """A line of a log as people read it; the log itself has the stack traces."""
    try:
        entry = json.loads(line)
        shown = f"{entry['level']}: {entry['event']}"
        return shown + (f": {entry['error']}" if entry.get("error") else "")
    except (ValueError, KeyError, TypeError):
        return line[:_LONGEST_LINE]


def is_in_use(folder: StateFolder) -> bool:
    """Whether a run holds the folder now."""
    try:
        handle = os.open(folder.path / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def in_use(folder: Path, owner: str) -> FailedPreconditionError:
    """The error of a second run in one folder."""
    who = f"process {owner}" if owner else "another run"
    return FailedPreconditionError(
        f"--state {folder} is in use by {who}; wait until it ends, give another folder, "
        f"or work with it through --server {folder / FILE_NAME}",
        reason="STATE_IN_USE",
        metadata={"field": "--state", "pid": owner},
    )


def unwritable(folder: Path, error: OSError) -> ResourceExhaustedError:
    """The error of a folder that can't be written."""
    fix = "free some space" if error.errno == errno.ENOSPC else "check its permissions"
    return ResourceExhaustedError(
        f"can't write the state folder {folder}: {error.strerror}; {fix}, or choose another with --state",
        reason="DISK",
        metadata={"field": "--state"},
    )

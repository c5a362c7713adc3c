"""Files and folders of stills on the service's own disks.

Who may write there may also swap a checked file for a link while it is imported. So what was opened is
checked once more, before its first byte is read.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from autoisp_client.frame_tar import READ_BYTES, frame_tar, frame_tar_size
from autoisp_client.payload import frames_among, no_frames
from autoisp_core.errors import InvalidArgumentError, PermissionDeniedError, UnavailableError

from autoisp_ingest.importing.roots import ImportRoots
from autoisp_ingest.usecases import Source

# A pipe that takes a file's place must not hold the thread until somebody writes to it.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


def local_source(roots: ImportRoots, path: Path, uri: str) -> Source:
    """What is at ``path``, measured but not read.

    Raises:
        InvalidArgumentError: nothing is there, it is empty, or it is a folder of anything but frames of one
            kind.
        PermissionDeniedError: it, or a file in it, is outside of ``roots``; or the service may not read it.
        UnavailableError: the disk fails.
    """
    real = roots.check_path(path, uri)
    with as_unreadable(uri):
        # Of the path itself: it has no links, unless one has just been put there.
        found = real.lstat()
        if stat.S_ISDIR(found.st_mode):
            return _folder(roots, real, uri)
        if not stat.S_ISREG(found.st_mode):
            raise _no_file(uri)
    if found.st_size == 0:
        raise InvalidArgumentError("uri", f"{uri!r} is empty; give a file with content")

    def blocks() -> Iterator[bytes]:
        with as_unreadable(uri), _open(roots, real, uri) as file:
            while block := file.read(READ_BYTES):
                yield block

    return Source(real.name, found.st_size, blocks)


def _folder(roots: ImportRoots, folder: Path, uri: str) -> Source:
    # Listed once: what is read is what was checked.
    entries: dict[Path, Path] = {}
    sizes: dict[Path, int] = {}
    for entry in os.scandir(folder):
        path = Path(entry.path)
        # A link in an allowed folder must not be a way out of it.
        real = roots.check_path(path, uri)
        try:
            found = real.lstat()
        except FileNotFoundError:  # a link to nothing
            continue
        if not entry.name.startswith(".") and stat.S_ISREG(found.st_mode):
            entries[path], sizes[path] = real, found.st_size
    files: Sequence[Path] = frames_among(entries, folder, "uri")
    if not files:
        raise no_frames(folder, "uri")
    size_bytes = frame_tar_size(sizes[path] for path in files)

    def blocks() -> Iterator[bytes]:
        with as_unreadable(uri):
            yield from frame_tar(files, lambda path: _open(roots, entries[path], uri))

    return Source(f"{folder.name}.tar", size_bytes, blocks, is_folder=True)


def _open(roots: ImportRoots, real: Path, uri: str) -> IO[bytes]:
    """Open a file whose path has no links in it, if that still holds."""
    try:
        file = os.fdopen(os.open(real, _OPEN_FLAGS), "rb", buffering=0)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link took its place
            raise roots.denied(uri) from error
        raise
    try:
        roots.check_opened(file.fileno(), uri)
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _no_file(uri)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def as_unreadable(uri: str) -> Iterator[None]:
    """Says of the system's errors what the client can do about them."""
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise _no_file(uri) from error
        if error.errno in _FORBIDDEN:
            raise PermissionDeniedError(
                f"the ingest service may not read {uri!r}; give its user the permission, or upload the "
                "footage",
                reason="SOURCE_FORBIDDEN",
                metadata={"field": "uri"},
            ) from error
        raise unavailable(uri, error) from error


def unavailable(uri: str, error: Exception) -> UnavailableError:
    """What to raise when a disk or a bucket fails."""
    return UnavailableError(
        f"{uri!r} can't be read: {(str(error) or type(error).__name__).splitlines()[0]}; check the "
        "service's access to it and try again",
        reason="SOURCE_UNAVAILABLE",
        metadata={"field": "uri"},
    )


def _no_file(uri: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "uri", f"there is no file or folder at {uri!r}; check the name", reason="NO_SOURCE"
    )

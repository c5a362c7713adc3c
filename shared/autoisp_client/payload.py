"""Files as the streams of bytes that uploads send: digest and size first, then chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.media import CAMERA_RAW_SUFFIXES, DUMP_SUFFIX, PICTURE_SUFFIXES, SIDECAR, kind_of
from autoisp_core.natural_order import natural_key

from autoisp_client.frame_tar import frame_tar

CHUNK_BYTES = 512 * 1024
"""Bytes per streamed message: the services take 256 KiB to 1 MiB."""


@dataclass(frozen=True)
class Payload:
    """Bytes to upload. ``blocks`` starts the stream anew each time it is called, at the byte it is given.

    Attributes:
        filename: with an extension that tells the container.
        size_bytes: of all blocks.
        sha256: lower-case hexadecimal, of all blocks.
    """

    filename: str
    size_bytes: int
    sha256: str
    blocks: Callable[[int], Iterator[bytes]]

    def chunks(self, first: int = 0) -> Iterator[bytes]:
        """The bytes from ``first`` on in pieces of :data:`CHUNK_BYTES`; only the last is shorter."""
        waiting = bytearray()
        for block in self.blocks(first):
            if not waiting and len(block) == CHUNK_BYTES:
                yield block
                continue
            waiting += block
            while len(waiting) >= CHUNK_BYTES:
                yield bytes(waiting[:CHUNK_BYTES])
                del waiting[:CHUNK_BYTES]
        if waiting:
            yield bytes(waiting)


def file_payload(path: Path, field: str = "path") -> Payload:
    """One file as it is.

    Raises:
        InvalidArgumentError: there is no such file, it can't be read, or it is empty.
    """
    try:
        found = path.is_file()
    except OSError as error:
        raise _unreadable(path, field, error) from error
    if not found:
        raise InvalidArgumentError(field, f"there is no file {path}; check the path")
    return _measured(path.name, lambda first: _read(path, first), field, path)


def clip_payload(path: Path, field: str = "path") -> Payload:
    """A clip: a file as it is, or a folder of frames as a tar that is made while it is sent.

    The same frames give the same digest wherever they lie; see :func:`autoisp_client.frame_tar.frame_tar`.

    Raises:
        InvalidArgumentError: there is no such path, it can't be read, the file is empty, or the folder has
            no frames, or frames of several kinds.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise _unreadable(path, field, error) from error
    if not is_folder:
        return file_payload(path, field)
    files = frame_files(path, field)
    if not files:
        raise no_frames(path, field)
    return _measured(
        f"{path.resolve().name}.tar", lambda first: _from(frame_tar(files, _open), first), field, path
    )


def frame_files(folder: Path, field: str = "path") -> list[Path]:
    """The frames in a folder in the order people expect: ``frame2.png`` before ``frame10.png``.

    Beside a ``sidecar.json`` these are the dumps, and it comes first. Else they are the pictures or the
    camera's raw files; any other file counts for nothing.

    Raises:
        InvalidArgumentError: the folder can't be read, or has frames of several kinds.
    """
    try:
        files = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    except OSError as error:
        raise _unreadable(folder, field, error) from error
    return frames_among(files, folder, field)


def frames_among(files: Iterable[Path], folder: Path, field: str) -> list[Path]:
    """Those of a folder's files that are frames; see :func:`frame_files`. Only their names are looked at.

    Raises:
        InvalidArgumentError: there are frames of several kinds.
    """
    files = list(files)
    sidecars = [path for path in files if path.name == SIDECAR]
    wanted = {DUMP_SUFFIX} if sidecars else PICTURE_SUFFIXES | CAMERA_RAW_SUFFIXES
    frames = [path for path in files if path.suffix.lower() in wanted]
    kinds = sorted({kind_of(path.suffix.lower()) for path in frames})
    if len(kinds) > 1:
        raise InvalidArgumentError(
            field,
            f"the folder {folder} has frames of several kinds ({', '.join(kinds)}); leave one kind in it",
        )
    return sidecars + sorted(frames, key=lambda path: natural_key(path.name))


def no_frames(folder: Path, field: str) -> InvalidArgumentError:
    """What to raise for a folder without frames."""
    return InvalidArgumentError(
        field,
        f"the folder {folder} has no frames; give a folder of .png or .tif pictures, of a camera's raw "
        f"files, or of {DUMP_SUFFIX} dumps with their {SIDECAR}",
    )


def _measured(filename: str, blocks: Callable[[int], Iterator[bytes]], field: str, path: Path) -> Payload:
    digest, size = hashlib.sha256(), 0
    try:
        for block in blocks(0):
            digest.update(block)
            size += len(block)
    except OSError as error:
        raise _unreadable(path, field, error) from error
    if size == 0:
        raise InvalidArgumentError(field, f"the file {path} is empty; give one with content")
    return Payload(filename, size, digest.hexdigest(), blocks)


def _unreadable(path: Path, field: str, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(field, f"can't read {path}: {error.strerror}; check its permissions")


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _read(path: Path, first: int = 0) -> Iterator[bytes]:
    with _open(path) as file:
        file.seek(first)
        while block := file.read(CHUNK_BYTES):
            yield block


def _from(blocks: Iterator[bytes], first: int) -> Iterator[bytes]:
    """What is left of ``blocks`` without their ``first`` bytes."""
    for block in blocks:
        if len(block) > first:
            yield block[first:]
        first = max(0, first - len(block))

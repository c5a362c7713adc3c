"""Files as the streams of bytes that uploads send: digest and size first, then chunks."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.media import CAMERA_RAW_SUFFIXES, DUMP_SUFFIX, PICTURE_SUFFIXES, SIDECAR, kind_of

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

    The tar, uncompressed, holds the frames in their order as ``000000.png``, ``000001.png``, … with no times
    or owners, so that the same frames give the same digest wherever they lie.

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
        raise InvalidArgumentError(
            field,
            f"the folder {path} has no frames; give a folder of .png or .tif pictures, of a camera's raw "
            f"files, or of {DUMP_SUFFIX} dumps with their {SIDECAR}",
        )
    return _measured(f"{path.resolve().name}.tar", lambda first: _from(_tar(files), first), field, path)


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


def natural_key(name: str) -> list[tuple[int, str]]:
    """A sort key that compares runs of digits as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


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


def _read(path: Path, first: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while block := file.read(CHUNK_BYTES):
            yield block


def _from(blocks: Iterator[bytes], first: int) -> Iterator[bytes]:
    """What is left of ``blocks`` without their ``first`` bytes."""
    for block in blocks:
        if len(block) > first:
            yield block[first:]
        first = max(0, first - len(block))


def _tar(files: list[Path]) -> Iterator[bytes]:
    frames = (path for path in files if path.name != SIDECAR)
    names = {path: f"{index:06d}{path.suffix.lower()}" for index, path in enumerate(frames)}
    for path in files:
        entry = tarfile.TarInfo(names.get(path, SIDECAR))
        entry.size = path.stat().st_size
        yield entry.tobuf(format=tarfile.USTAR_FORMAT)
        yield from _read(path)
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)  # the end of the archive

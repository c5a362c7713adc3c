"""Files as the streams of bytes that uploads send: digest and size first, then chunks."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError

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
    """A clip: a video file, or a folder of PNG frames as a tar that is made while it is sent.

    The tar, uncompressed, holds the frames in their order as ``000000.png``, ``000001.png``, … with no times
    or owners, so that the same frames give the same digest wherever they lie.

    Raises:
        InvalidArgumentError: there is no such path, it can't be read, the file is empty, or the folder has
            no PNG files.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:
        raise _unreadable(path, field, error) from error
    if not is_folder:
        return file_payload(path, field)
    frames = png_frames(path, field)
    if not frames:
        raise InvalidArgumentError(field, f"the folder {path} has no .png files; give a folder of PNG frames")
    return _measured(f"{path.resolve().name}.tar", lambda first: _from(_tar(frames), first), field, path)


def png_frames(folder: Path, field: str = "path") -> list[Path]:
    """The PNG files of a folder in the order people expect: ``frame2.png`` before ``frame10.png``.

    Raises:
        InvalidArgumentError: the folder can't be read.
    """
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and path.is_file()]
    except OSError as error:
        raise _unreadable(folder, field, error) from error
    return sorted(files, key=lambda path: natural_key(path.name))


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


def _tar(frames: list[Path]) -> Iterator[bytes]:
    for index, path in enumerate(frames):
        entry = tarfile.TarInfo(f"{index:06d}.png")
        entry.size = path.stat().st_size
        yield entry.tobuf(format=tarfile.USTAR_FORMAT)
        yield from _read(path)
        yield bytes(-entry.size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)  # the end of the archive

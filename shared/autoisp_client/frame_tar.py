"""A folder of frames as one stream of bytes: an uncompressed tar that is made while it is read."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from autoisp_core.media import SIDECAR

READ_BYTES = 512 * 1024

_USTAR_LIMIT = 8 << 30
"""From this size on a USTAR header can't tell it, and a GNU header does. Smaller files keep their digest."""


def frame_tar(files: Sequence[Path], open_file: Callable[[Path], IO[bytes]]) -> Iterator[bytes]:
    """The frames in their order as ``000000.png``, ``000001.png``, … with no times or owners.

    So the same frames give the same bytes wherever they lie. A sidecar keeps its name.

    Args:
        files: what :func:`autoisp_client.payload.frame_files` gives.
        open_file: for reading.
    """
    frames = (path for path in files if path.name != SIDECAR)
    names = {path: f"{index:06d}{path.suffix.lower()}" for index, path in enumerate(frames)}
    for path in files:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            yield _header(names.get(path, SIDECAR), size)
            while block := file.read(READ_BYTES):
                yield block
        yield bytes(-size % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)  # the end of the archive


def frame_tar_size(sizes: Iterable[int]) -> int:
    """Length of the tar of files that are so large."""
    block = tarfile.BLOCKSIZE
    return sum(block + -(-size // block) * block for size in sizes) + 2 * block


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(format=tarfile.USTAR_FORMAT if size < _USTAR_LIMIT else tarfile.GNU_FORMAT)

"""Copying bytes that this process reads itself."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from autoisp_core.errors import CancelledError, InvalidArgumentError

from autoisp_runtime.part_files import PartFile
from autoisp_runtime.uploads import disk_full


def copy_blocks(
    path: Path, size_bytes: int, blocks: Iterator[bytes], field: str, stop: threading.Event
) -> str:
    """Write ``blocks`` to ``path``; returns their SHA-256, lower-case hexadecimal.

    Args:
        path: in a folder that is made if missing. What was written stays after an error.
        size_bytes: of all blocks.
        blocks: read to their end.
        field: what names the source, for error messages.
        stop: ends the copying soon after it is set.

    Raises:
        InvalidArgumentError: there are more or fewer bytes than ``size_bytes``.
        ResourceExhaustedError: the disk has no room for them.
        CancelledError: ``stop`` was set.
        OSError: they can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < size_bytes:
        raise disk_full(size_bytes, free)
    file = PartFile(path, 0)
    try:
        for block in blocks:
            if stop.is_set():
                raise CancelledError("the copying was cancelled; ask for it again")
            if file.received_bytes + len(block) > size_bytes:
                raise _changed(field)
            file.append(block)
        if file.received_bytes < size_bytes:
            raise _changed(field)
        return file.sha256()
    finally:
        file.close()


def _changed(field: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        field,
        "its size changed while it was read; wait until nobody writes to it, and ask again",
        reason="SOURCE_CHANGED",
    )

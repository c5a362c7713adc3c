"""Uploads on their way to becoming clips."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class Upload:
    """What has been received of a file.

    Args:
        sha256: of the whole file.
        size_bytes: of the whole file.
        received_bytes: from its beginning.
        expire_time: when it will be forgotten; None for what is a clip.
        clip: ``clips/{c}``, if the file is one already; else empty.
    """

    sha256: str
    size_bytes: int
    received_bytes: int
    expire_time: datetime | None = None
    clip: str = ""


@dataclass(frozen=True)
class Spooled:
    """A whole source on this process's disk, its digest computed; gone when who holds it is through."""

    path: Path
    size_bytes: int
    sha256: str

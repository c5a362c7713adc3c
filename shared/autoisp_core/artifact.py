"""Bytes by reference: what travels instead of pixels and weights."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Artifact:
    """Immutable bytes in the artifact store.

    Args:
        uri: key inside the store (``blobs/ab/abcd…``); the store's own URL is configuration, not part of it.
        sha256: 64 lowercase hex characters.
        size_bytes: at least 0.
        media_type: for example ``application/onnx``.

    Raises:
        ValueError: the digest or size has the wrong form.
    """

    uri: str
    sha256: str
    size_bytes: int
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 must be 64 lowercase hex characters, got {self.sha256!r}")
        if self.size_bytes < 0:
            raise ValueError(f"size_bytes must be at least 0, got {self.size_bytes}")

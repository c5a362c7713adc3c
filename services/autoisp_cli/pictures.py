"""Pictures of evaluations, fetched from the registry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_client import Client
from autoisp_core.errors import AutoISPError


def fetch(
    client: Client, pictures: Iterable[evaluation_pb2.Picture], note: Callable[[str], None]
) -> dict[str, bytes]:
    """PNG bytes by digest; a picture that is gone is left out, with a note."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="autoisp-") as folder:
        for picture in pictures:
            digest = picture.png.sha256
            if digest in found:
                continue
            path = Path(folder) / digest
            try:
                client.download(path, sha256=digest)
            except AutoISPError as error:
                note(f"no picture {picture.kind} of frame {picture.frame}: {error.message}")
            else:
                found[digest] = path.read_bytes()
    return found

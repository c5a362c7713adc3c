"""A release in a folder, as a registry would have made it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from autoisp_core.release import MANIFEST_NAME, Manifest, ManifestLineage, ReleaseFile, file_name
from autoisp_core.release.ed25519 import PrivateKey

KEY = PrivateKey.generate()
CREATED = datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=UTC)
FILES = {"onnx-fp32": b"weights" * 1000, "onnx-int8": b"fewer" * 500}


def manifest(**changes: object) -> Manifest:
    """Of version 3 of a model, with two files."""
    files = tuple(
        ReleaseFile(
            format, file_name(format), hashlib.sha256(data).hexdigest(), len(data), "application/onnx"
        )
        for format, data in FILES.items()
    )
    lineage = ManifestLineage(dataset="datasets/d", evidence_sha256="a" * 64)
    return replace(Manifest("models/m", 3, CREATED, files, lineage), **changes)  # type: ignore[arg-type]


def write_release(folder: Path, key: PrivateKey = KEY) -> Path:
    """The files and the manifest, signed; returns the path of the public key, beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for format, data in FILES.items():
        (folder / file_name(format)).write_bytes(data)
    (folder / MANIFEST_NAME).write_bytes(key.sign(manifest()).to_json())
    public = folder.parent / f"{key.public.key_id}.pem"
    public.write_text(key.public.pem)
    return public

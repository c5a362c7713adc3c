"""References to bytes, both ways; what comes from outside is checked in reading."""

from __future__ import annotations

from autoisp.common.v1 import common_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError


def artifact_from(message: common_pb2.Artifact, field: str) -> Artifact:
    """Read a reference to bytes.

    Raises:
        InvalidArgumentError: naming the part of ``field`` that is malformed.
    """
    if len(message.sha256) != 64 or set(message.sha256) - set("0123456789abcdef"):
        raise InvalidArgumentError(
            f"{field}.sha256", f"{message.sha256!r} is no SHA-256; give 64 lowercase hexadecimal characters"
        )
    if message.size_bytes < 1:
        raise InvalidArgumentError(f"{field}.size_bytes", "give the size in bytes that the upload answered")
    uri = f"blobs/{message.sha256[:2]}/{message.sha256}"
    if message.uri not in ("", uri):
        raise InvalidArgumentError(
            f"{field}.uri", f"bytes of that digest lie at {uri}, not at {message.uri!r}; leave it empty"
        )
    return Artifact(uri, message.sha256, message.size_bytes, message.media_type)


def artifact_to(artifact: Artifact) -> common_pb2.Artifact:
    """Write a reference to bytes."""
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )

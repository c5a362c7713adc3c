"""Receiving bytes over a client stream: a header, then chunks, spooled to disk with their digest.

Nothing of an upload is visible to anybody before all of it has come and is what the header promised, and
nothing of it stays when it is not. Memory use is one chunk, whatever the size.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoisp_core.errors import InvalidArgumentError, ResourceExhaustedError

MAX_CHUNK_BYTES = 1 << 20
"""Longest chunk that is accepted; gRPC's own limit of 4 MiB a message stays as it is."""

ENDED_EARLY = "UPLOAD_ENDED_EARLY"
"""Reason of the error of a stream that ended before all that was announced had come."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = ".part"


@dataclass(frozen=True)
class SpooledFile:
    """A complete upload whose size and digest have been checked. Move ``path`` away to keep it."""

    path: Path
    size_bytes: int
    sha256: str


async def open_upload(
    messages: AsyncIterable[Any], *, offsets: bool = False
) -> tuple[Any, AsyncIterator[bytes]]:
    """Split a stream of ``oneof payload {header, chunk}`` messages into its header and its chunks.

    Args:
        messages: the requests of a client-streaming RPC, as gRPC hands them over.
        offsets: the header has a ``first_offset``, and a chunk's ``offset`` is checked where it is set.

    Returns:
        The header message, and an iterator over the bytes of the chunks, to be read once.

    Raises:
        InvalidArgumentError: ``header`` is not the first message. A second header or an empty message
            raises it from the iterator, and so does a chunk at another offset than its own.
    """
    iterator = aiter(messages)
    first = await anext(iterator, None)
    if first is None or first.WhichOneof("payload") != "header":
        raise InvalidArgumentError(
            "header",
            "an upload begins with a header; send it once, before the first chunk",
            reason="HEADER_MISSING",
        )
    if offsets:
        return first.header, _in_place(iterator, first.header.first_offset)
    return first.header, _chunks(iterator)


async def _in_place(messages: AsyncIterator[Any], position: int) -> AsyncIterator[bytes]:
    async def checked() -> AsyncIterator[Any]:
        nonlocal position
        async for message in messages:
            if message.HasField("offset") and message.offset != position:
                raise InvalidArgumentError(
                    "offset",
                    f"a chunk says that it begins at {message.offset}, and {position} is next; send the "
                    "chunks in order and without gaps, from header.first_offset on",
                    reason="OFFSET_MISMATCH",
                )
            position += len(message.chunk)
            yield message

    async for chunk in _chunks(checked()):
        yield chunk


async def _chunks(messages: AsyncIterator[Any]) -> AsyncIterator[bytes]:
    async for message in messages:
        if message.WhichOneof("payload") != "chunk":
            raise InvalidArgumentError(
                "header" if message.WhichOneof("payload") == "header" else "payload",
                "after the header only chunks may follow; start another upload for other bytes",
                reason="UNEXPECTED_MESSAGE",
            )
        yield message.chunk


@asynccontextmanager
async def spool(
    chunks: AsyncIterable[bytes],
    *,
    directory: Path,
    size_bytes: int,
    sha256: str,
    quota_bytes: int,
    field: str = "header",
) -> AsyncIterator[SpooledFile]:
    """Write ``chunks`` to a file in ``directory`` and check them; the file is gone when the context ends.

    Args:
        chunks: at most :data:`MAX_CHUNK_BYTES` each.
        directory: made if missing; on the same file system as the store, so that the file can be moved there.
        size_bytes: what the sender announced, at least 1.
        sha256: what the sender announced, 64 lowercase hexadecimal characters.
        quota_bytes: largest upload that is accepted.
        field: path of the message that holds ``size_bytes`` and ``sha256``, for error messages.

    Raises:
        InvalidArgumentError: size or digest are malformed or not those of the bytes, or a chunk is too long.
        ResourceExhaustedError: over the quota, or the disk is full. Nothing is read in the first case.
    """
    check_announced(size_bytes, sha256, quota_bytes, field)
    try:
        descriptor, name = await asyncio.to_thread(_make_file, directory, size_bytes)
    except OSError as error:
        raise translate(error, size_bytes) from error
    try:
        received, digest = 0, hashlib.sha256()
        try:
            with os.fdopen(descriptor, "wb") as file:

                def take(chunk: bytes) -> None:
                    digest.update(chunk)
                    file.write(chunk)

                async for chunk in chunks:
                    received += len(chunk)
                    check_chunk(len(chunk), received, size_bytes, field)
                    # Hashing and writing release the GIL: the loop goes on serving others.
                    await asyncio.to_thread(take, chunk)
        except OSError as error:  # also from closing, which writes what is still buffered
            raise translate(error, size_bytes) from error
        check_received(received, size_bytes, digest.hexdigest(), sha256, field)
        yield SpooledFile(Path(name), received, sha256)
    finally:
        # Without awaiting: this must also run when the call is being cancelled.
        with suppress(FileNotFoundError):
            os.unlink(name)


def clear_spool(directory: Path) -> int:
    """Delete what a killed process left in its spool directory; returns how many files that were.

    Only for the process that owns the directory, before it serves.
    """
    leftovers = list(directory.glob(f"*{_SUFFIX}")) if directory.is_dir() else []
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _make_file(directory: Path, size_bytes: int) -> tuple[int, str]:
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < size_bytes:
        raise disk_full(size_bytes, free)
    return tempfile.mkstemp(suffix=_SUFFIX, dir=directory)


def check_digest(sha256: str, field: str) -> None:
    """Check that ``sha256`` can be one.

    Raises:
        InvalidArgumentError: it is not 64 lowercase hexadecimal characters.
    """
    if not _SHA256.fullmatch(sha256):
        raise InvalidArgumentError(
            field, f"give the SHA-256 as 64 lowercase hexadecimal characters; got {sha256!r}"
        )


def check_announced(size_bytes: int, sha256: str, quota_bytes: int, field: str) -> None:
    """Check what a sender announces, before anything is received.

    Raises:
        InvalidArgumentError: size or digest are malformed.
        ResourceExhaustedError: the size is over ``quota_bytes``.
    """
    if size_bytes < 1:
        raise InvalidArgumentError(
            f"{field}.size_bytes", f"announce the number of bytes to come, at least 1; got {size_bytes}"
        )
    check_digest(sha256, f"{field}.sha256")
    check_size(size_bytes, quota_bytes, f"{field}.size_bytes")


def check_size(size_bytes: int, quota_bytes: int, field: str) -> None:
    """Check a file's size against what a single one may have.

    Raises:
        ResourceExhaustedError: it is over ``quota_bytes``.
    """
    if size_bytes > quota_bytes:
        raise ResourceExhaustedError(
            f"{size_bytes} bytes are more than the {quota_bytes} that one upload may have; send less, or "
            "have the server's quota raised",
            reason="QUOTA_EXCEEDED",
            metadata={"field": field, "quota_bytes": str(quota_bytes)},
        )


def check_chunk(length: int, received: int, size_bytes: int, field: str) -> None:
    """Check a chunk of ``length`` bytes, with which ``received`` have come.

    Raises:
        InvalidArgumentError: it is too long, or more has come than was announced.
    """
    if length > MAX_CHUNK_BYTES:
        raise InvalidArgumentError(
            "chunk", f"a chunk of {length} bytes is over the limit of {MAX_CHUNK_BYTES}; send smaller ones"
        )
    if received > size_bytes:
        raise InvalidArgumentError(
            f"{field}.size_bytes",
            f"more bytes came than the announced {size_bytes}; announce the size of all chunks together",
            reason="SIZE_MISMATCH",
        )


def check_received(received: int, size_bytes: int, digest: str, sha256: str, field: str) -> None:
    """Check what has come against what was announced.

    Raises:
        InvalidArgumentError: the stream ended early, or the bytes are others.
    """
    if received != size_bytes:
        raise InvalidArgumentError(
            f"{field}.size_bytes",
            f"the stream ended after {received} of the announced {size_bytes} bytes; send the rest, or "
            "announce the size of all chunks together",
            reason=ENDED_EARLY,
        )
    if digest != sha256:
        raise InvalidArgumentError(
            f"{field}.sha256",
            f"the bytes have SHA-256 {digest}, announced was {sha256}; send the upload again",
            reason="DIGEST_MISMATCH",
        )


def translate(error: OSError, size_bytes: int) -> Exception:
    """A failed write as the error of a full disk, if it is that; else as it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full(size_bytes, 0)
    return error


def disk_full(size_bytes: int, free: int) -> ResourceExhaustedError:
    """The error of a disk without room for so many bytes."""
    return ResourceExhaustedError(
        f"the server's disk has {free} bytes free and the upload needs {size_bytes}; free some space and "
        "try again",
        reason="DISK_FULL",
        metadata={"free_bytes": str(free), "needed_bytes": str(size_bytes)},
    )

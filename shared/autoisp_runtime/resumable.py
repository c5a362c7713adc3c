"""Uploads that can go on where they broke off: what was received stays until its digest is that announced.

A file is known by its SHA-256. One stream at a time receives it; what a stream that broke off has left, the
next one goes on with, also after the process was killed. Memory use is one chunk, whatever the size.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autoisp_core.errors import (
    AutoISPError,
    ErrorCode,
    InvalidArgumentError,
    OutOfRangeError,
    ResourceExhaustedError,
)
from autoisp_core.ids import new_id

from autoisp_runtime.copy_blocks import copy_blocks
from autoisp_runtime.one_stream import Stream, Streams
from autoisp_runtime.pace import Pace, keep_pace
from autoisp_runtime.part_files import PART_SUFFIX, PartFile, PartFiles, Received
from autoisp_runtime.run_to_end import run_to_end
from autoisp_runtime.uploads import (
    ENDED_EARLY,
    SpooledFile,
    check_announced,
    check_chunk,
    check_received,
    check_size,
    disk_full,
    translate,
)

# What sending more can't mend. Whatever else ends an upload, its bytes are kept.
_FATAL = frozenset({ErrorCode.INVALID_ARGUMENT, ErrorCode.RESOURCE_EXHAUSTED, ErrorCode.ALREADY_EXISTS})


@dataclass(frozen=True)
class SpoolLimits:
    """How much a spool takes.

    Args:
        file_bytes: largest single file.
        spool_bytes: all that lies or is announced at one time.
        ttl_seconds: how long an unfinished upload is kept.
        pace: the slowest sender.
    """

    file_bytes: int
    spool_bytes: int
    ttl_seconds: float
    pace: Pace


@dataclass(frozen=True)
class Announced:
    """What a sender says of its stream.

    Args:
        sha256: of the whole file.
        size_bytes: of the whole file.
        first_offset: where the stream's first chunk begins.
        field: path of the message that holds these, for error messages.
    """

    sha256: str
    size_bytes: int
    first_offset: int = 0
    field: str = "header"


class UploadSpool:
    """The folder in which files wait until they are complete; it belongs to this process alone."""

    def __init__(self, directory: Path, limits: SpoolLimits) -> None:
        self._files = PartFiles(directory, limits.ttl_seconds)
        self._limits = limits
        self._streams = Streams()
        self._taken: dict[str, int] = {}

    def find(self, sha256: str) -> Received | None:
        """What has been received of the file with this digest, or None."""
        return self._files.find(sha256)

    def clear(self) -> int:
        """At the start: delete what nobody can resume; returns how many files that were."""
        return self._files.clear() + self.clear_expired()

    def clear_expired(self) -> int:
        """Delete what nobody has resumed in time; returns how many uploads that were."""
        now = datetime.now(UTC)
        expired = [
            part for part in self._files.all() if part.sha256 not in self._streams and part.expire_time <= now
        ]
        for part in expired:
            self._files.delete(part.sha256, part.size_bytes)
        return len(expired)

    @asynccontextmanager
    async def receive(self, announced: Announced, chunks: AsyncIterator[bytes]) -> AsyncIterator[SpooledFile]:
        """The whole file, checked, once the rest of it has come; it is gone when the context ends well.

        When the stream breaks off, or what is done with the file fails for a while, its bytes stay. They go
        when sending more can't mend it: they are not what was announced, not what is taken, or don't fit.

        Args:
            announced: of the file, and where ``chunks`` go on.
            chunks: at most :data:`~autoisp_runtime.uploads.MAX_CHUNK_BYTES` each.

        Raises:
            InvalidArgumentError: size or digest are malformed or not those of the bytes, or a chunk is too
                long.
            OutOfRangeError: ``first_offset`` is beyond what has been received.
            ResourceExhaustedError: over a limit, or the disk is full. In the first case nothing is read.
            AbortedError: another stream of the same file is under way; or one took over from this one, which
                had been silent.
            DeadlineExceededError: the sender is too slow.
        """
        check_announced(announced.size_bytes, announced.sha256, self._limits.file_bytes, announced.field)
        async with self._streams.alone(announced.sha256, announced.size_bytes) as stream:
            self._check_room(announced.sha256, announced.size_bytes, f"{announced.field}.size_bytes")
            try:
                with stream.at_work():
                    part = await run_to_end(self._open, announced)
            except OSError as error:
                raise translate(error, announced.size_bytes) from error
            keep = True
            try:
                await self._fill(part, announced, chunks, stream)
                yield SpooledFile(part.path, part.received_bytes, announced.sha256)
                keep = False
            except AutoISPError as error:
                # The stream of a client that leaves may seem to end well: gRPC tells of a cancelled call
                # later than of the end of its messages.
                keep = error.code not in _FATAL or error.reason == ENDED_EARLY
                raise
            finally:
                # Without awaiting: this must also run when the call is being cancelled.
                part.close()
                if not keep or not part.received_bytes:
                    self._files.delete(announced.sha256, announced.size_bytes)

    @asynccontextmanager
    async def take(
        self, size_bytes: int, blocks: Iterator[bytes], *, field: str
    ) -> AsyncIterator[SpooledFile]:
        """A copy of bytes that this process reads itself; it is gone when the context ends.

        Args:
            size_bytes: of all blocks.
            blocks: read in a thread.
            field: what names the source, for error messages.

        Raises:
            InvalidArgumentError: there are more or fewer bytes than ``size_bytes``.
            ResourceExhaustedError: over a limit, or the disk is full. In the first case nothing is read.
            AutoISPError: whatever ``blocks`` raises.
        """
        check_size(size_bytes, self._limits.file_bytes, field)
        key, stop = new_id("taken-"), threading.Event()
        self._check_room(key, size_bytes, field)
        self._taken[key] = size_bytes
        path = self._files.directory / f"{key}{PART_SUFFIX}"
        try:
            try:
                digest = await run_to_end(
                    copy_blocks, path, size_bytes, blocks, field, stop, on_cancel=stop.set
                )
            except OSError as error:
                raise translate(error, size_bytes) from error
            yield SpooledFile(path, size_bytes, digest)
        finally:
            path.unlink(missing_ok=True)
            del self._taken[key]

    def _check_room(self, key: str, size_bytes: int, named: str) -> None:
        others = {other: size for other, size in self._reserved() if other != key}
        used, limit = sum(others.values()), self._limits.spool_bytes
        if used + size_bytes > limit:
            raise ResourceExhaustedError(
                f"{size_bytes} bytes don't fit: what is under way has {used} of the {limit} bytes that there "
                "are for it; try again when some is through, or have the server's AUTOISP_SPOOL_BYTES raised",
                reason="SPOOL_FULL",
                metadata={"field": named, "spool_bytes": str(limit), "used_bytes": str(used)},
            )

    def _reserved(self) -> Iterator[tuple[str, int]]:
        yield from self._streams.sizes()
        yield from self._taken.items()
        for part in self._files.all():
            if part.sha256 not in self._streams:
                yield part.sha256, part.received_bytes

    def _open(self, announced: Announced) -> PartFile:
        received = self._files.find(announced.sha256)
        there = received.received_bytes if received else 0
        if received and announced.first_offset and received.size_bytes != announced.size_bytes:
            raise InvalidArgumentError(
                f"{announced.field}.size_bytes",
                f"{announced.size_bytes} bytes are announced, and {received.size_bytes} were when the upload "
                "began; begin again with first_offset 0 and the size of the whole file",
                reason="SIZE_MISMATCH",
            )
        if received and received.size_bytes != announced.size_bytes:
            # Begun anew, with no other stream at work: one size was wrong, and room may be scarce.
            self._files.delete(announced.sha256, received.size_bytes)
            there = 0
        if not 0 <= announced.first_offset <= there:
            raise OutOfRangeError(
                f"the stream goes on at byte {announced.first_offset}, and {there} were received; ask "
                "GetUpload and go on from there, or begin with first_offset 0",
                reason="OFFSET_NOT_RECEIVED",
                metadata={"field": f"{announced.field}.first_offset", "received_bytes": str(there)},
            )
        self._files.directory.mkdir(parents=True, exist_ok=True)
        missing = announced.size_bytes - announced.first_offset
        free = shutil.disk_usage(self._files.directory).free
        if free < missing:
            raise disk_full(missing, free)
        return self._files.open(announced.sha256, announced.size_bytes, announced.first_offset)

    async def _fill(
        self, part: PartFile, announced: Announced, chunks: AsyncIterator[bytes], stream: Stream
    ) -> None:
        size_bytes, name = announced.size_bytes, announced.field
        async with aclosing(keep_pace(chunks, self._limits.pace)) as paced:
            async for chunk in paced:
                stream.note()
                check_chunk(len(chunk), part.received_bytes + len(chunk), size_bytes, name)
                try:
                    # Hashing and writing release the GIL: the loop goes on serving others.
                    with stream.at_work():
                        await run_to_end(part.append, chunk)
                except OSError as error:
                    raise translate(error, size_bytes) from error
        stream.complete = True
        check_received(part.received_bytes, size_bytes, part.sha256(), announced.sha256, name)

"""Uploads: bytes that a client sends, in one stream or in several."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from autoisp_core.errors import InvalidArgumentError, NotFoundError

from autoisp_ingest.domain import Clip, Spooled, Upload, UploadHeader, clip_id_of
from autoisp_ingest.usecases.decode import DecodeClip
from autoisp_ingest.usecases.new_clips import NewClips
from autoisp_ingest.usecases.ports import IngestStore

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Spool(Protocol):
    """Holds sources on disk until they are clips."""

    def receive(
        self, header: UploadHeader, chunks: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[Spooled]:
        """The whole file, once the rest of it has come and is what ``header`` announced.

        It is gone when the context ends well, or with an error that sending more can't mend; else what was
        received stays, for another stream to go on with.

        Raises:
            InvalidArgumentError: size, digest or a chunk is not what it must be.
            OutOfRangeError: the header's first_offset is beyond what was received.
            ResourceExhaustedError: over a limit, or the disk is full.
            AbortedError: another stream of the same file is under way.
            DeadlineExceededError: the sender is too slow.
        """
        ...

    def take(self, size_bytes: int, blocks: Iterator[bytes]) -> AbstractAsyncContextManager[Spooled]:
        """A copy of what ``blocks`` give, which are read in a thread; gone when the context ends.

        Raises:
            InvalidArgumentError: there are not ``size_bytes`` of them.
            ResourceExhaustedError: over a limit, or the disk is full.
        """
        ...

    def find(self, sha256: str) -> Upload | None:
        """What has been received of a file, or None."""
        ...

    def clear(self) -> int:
        """Before serving: delete what a killed process left and nobody can resume; returns how much."""
        ...

    def clear_expired(self) -> int:
        """Forget uploads that nobody resumed in time; returns how many."""
        ...


class Uploads:
    """Takes uploads in, and tells how far they are."""

    def __init__(self, store: IngestStore, spool: Spool, new_clips: NewClips, decode: DecodeClip) -> None:
        self._store = store
        self._spool = spool
        self._new_clips = new_clips
        self._decode = decode

    async def receive(self, header: UploadHeader, chunks: AsyncIterator[bytes]) -> Clip:
        """Receive, check, decode and store.

        Args:
            chunks: the file's bytes in order, from the header's first_offset on. Not read at all if the clip
                is known already.

        Returns:
            The new clip, or the one that the same bytes made before.

        Raises:
            AutoISPError: as :meth:`Spool.receive`, or the bytes are no footage that is taken.
        """
        header.check()
        known = await self._new_clips.find(header.sha256, header.size_bytes)
        if known:
            return known
        async with self._spool.receive(header, chunks) as file:
            # Another stream of the same bytes, or an import, may have been faster.
            known = await self._new_clips.find(header.sha256, header.size_bytes)
            return known or await self._decode(header, file.path)

    async def get(self, sha256: str) -> Upload:
        """How much has been received of the file with this digest.

        Raises:
            InvalidArgumentError: it is no SHA-256.
            NotFoundError: nothing has, or it was forgotten.
        """
        if not _SHA256.fullmatch(sha256):
            raise InvalidArgumentError(
                "sha256", f"{sha256!r} is no SHA-256; give 64 lowercase hexadecimal characters"
            )
        clip = await self._store.get_clip(clip_id_of(sha256))
        if clip and clip.source_sha256 == sha256:
            size_bytes = clip.source_size_bytes
            return Upload(sha256, size_bytes, received_bytes=size_bytes, clip=clip.name)
        found = self._spool.find(sha256)
        if found is None:
            raise NotFoundError(
                f"uploads/{sha256}", "nothing of this file has been received; send it from its beginning"
            )
        return found

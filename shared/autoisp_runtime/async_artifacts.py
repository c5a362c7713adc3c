"""The artifact store for an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path

from autoisp_core.artifact import Artifact

from autoisp_runtime.artifacts import CHUNK_BYTES, ArtifactStore

_AT_ONCE = 4
"""Pieces that are read in one go: the way to a thread and back takes as long as reading one."""


class AsyncArtifactStore:
    """:class:`ArtifactStore` for an event loop; every call runs in a thread. Errors are the same."""

    def __init__(self, store: ArtifactStore) -> None:
        self.blocking = store

    async def put_bytes(self, data: bytes, media_type: str = "application/octet-stream") -> Artifact:
        """See :meth:`ArtifactStore.put_bytes`."""
        return await asyncio.to_thread(self.blocking.put_bytes, data, media_type)

    async def put_file(
        self, path: Path, media_type: str = "application/octet-stream", *, sha256: str = ""
    ) -> Artifact:
        """See :meth:`ArtifactStore.put_file`."""
        return await asyncio.to_thread(self.blocking.put_file, path, media_type, sha256=sha256)

    async def get_bytes(self, artifact: Artifact) -> bytes:
        """See :meth:`ArtifactStore.get_bytes`."""
        return await asyncio.to_thread(self.blocking.get_bytes, artifact)

    async def stream(
        self,
        artifact: Artifact,
        chunk_bytes: int = CHUNK_BYTES,
        *,
        offset: int = 0,
        length: int | None = None,
        recheck: bool = True,
    ) -> AsyncIterator[bytes]:
        """See :meth:`ArtifactStore.iter_bytes`; pieces are read and checked while those before are used."""
        chunks = self.blocking.iter_bytes(
            artifact, chunk_bytes, offset=offset, length=length, recheck=recheck
        )

        def read() -> asyncio.Task[list[bytes]]:
            return asyncio.create_task(asyncio.to_thread(lambda: list(islice(chunks, _AT_ONCE))))

        coming = read()
        try:
            while batch := await coming:
                coming = read()
                for chunk in batch:
                    yield chunk
        finally:
            # Whoever stops early wants to hear no more; a failure that nobody fetches would be logged.
            if not coming.cancel() and not coming.cancelled():
                coming.exception()

    async def put_result(self, key: str, data: bytes, *, overwrite: bool = False) -> bool:
        """See :meth:`ArtifactStore.put_result`."""
        return await asyncio.to_thread(self.blocking.put_result, key, data, overwrite=overwrite)

    async def get_result(self, key: str) -> bytes | None:
        """See :meth:`ArtifactStore.get_result`."""
        return await asyncio.to_thread(self.blocking.get_result, key)

    async def delete_result(self, key: str) -> None:
        """See :meth:`ArtifactStore.delete_result`."""
        await asyncio.to_thread(self.blocking.delete_result, key)

    async def exists(self, artifact: Artifact) -> bool:
        """See :meth:`ArtifactStore.exists`."""
        return await asyncio.to_thread(self.blocking.exists, artifact)

    async def find(self, sha256: str, media_type: str = "application/octet-stream") -> Artifact | None:
        """See :meth:`ArtifactStore.find`."""
        return await asyncio.to_thread(self.blocking.find, sha256, media_type)

    async def delete(self, artifact: Artifact) -> None:
        """See :meth:`ArtifactStore.delete`."""
        await asyncio.to_thread(self.blocking.delete, artifact)

    async def delete_prefix(self, prefix: str) -> int:
        """See :meth:`ArtifactStore.delete_prefix`."""
        return await asyncio.to_thread(self.blocking.delete_prefix, prefix)

"""Zarr takes a chunk that is not there for one of zeros; a clip has none of these, so it is a lost one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ObjectStore, WrapperStore


class CompleteStore(WrapperStore[ObjectStore[Any]]):
    """A store whose chunks are all there, or reading raises FileNotFoundError."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """See :meth:`zarr.abc.store.Store.get`."""
        return _present(key, await super().get(key, prototype, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """See :meth:`zarr.abc.store.Store.get_partial_values`."""
        wanted = list(key_ranges)
        found = await super().get_partial_values(prototype, wanted)
        return [_present(key, data) for (key, _), data in zip(wanted, found, strict=True)]

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        async for key, data in super()._get_many(requests):
            yield key, _present(key, data)


def _present(key: str, data: Buffer | None) -> Buffer | None:
    if data is None and "c" in key.split("/"):
        raise FileNotFoundError(key)
    return data

"""Shards under construction: frames are copied once, to where they will lie in the shard.

A shard of Zarr v3's codec ``sharding_indexed`` is its chunks, one behind the other, and then an index of
their offsets and sizes. Writing through Zarr copies every pixel several times; that would cost more than
decoding it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from autoisp_runtime.clip_frames.layout import PlaneLayout

_CHECKSUM_BYTES = 4
_EMPTY = np.iinfo(np.uint64).max


class PlaneBlock:
    """The shard of one plane's next frames; to be used again and again.

    Args:
        layout: of the plane.
        dtype: of its values.
    """

    def __init__(self, layout: PlaneLayout, dtype: str) -> None:
        self._chunk_frames = layout.chunk[0]
        steps = layout.block_frames // self._chunk_frames
        self._chunks = steps * layout.tiles[0] * layout.tiles[1]
        self._chunk_bytes = int(np.prod(layout.chunk)) * np.dtype(dtype).itemsize
        stride = self._chunk_bytes + _CHECKSUM_BYTES
        # Zeros: tiles may reach over the frame's edge, where nothing is ever copied.
        self._bytes = np.zeros(self._chunks * stride + 16 * self._chunks + _CHECKSUM_BYTES, np.uint8)
        self._rows = self._bytes[: self._chunks * stride].reshape(self._chunks, stride)
        pixels = self._rows[:, : self._chunk_bytes].view(dtype)
        self._pixels = pixels.reshape(steps, *layout.tiles, *layout.chunk)
        self._copies = [
            (tile_rows, tile_columns, rows, columns)
            for tile_rows, rows in _spans(layout.shape[0], layout.chunk[1])
            for tile_columns, columns in _spans(layout.shape[1], layout.chunk[2])
        ]

    def put(self, index: int, plane: NDArray[Any]) -> None:
        """Copy a frame's plane to be the block's ``index``-th."""
        tiles = self._pixels[index // self._chunk_frames, :, :, index % self._chunk_frames]
        for tile_rows, tile_columns, rows, columns in self._copies:
            part = plane[rows, columns]
            height, width = (
                part.shape[0] // (tile_rows.stop - tile_rows.start),
                part.shape[1] // (tile_columns.stop - tile_columns.start),
            )
            cut = part.reshape(-1, height, part.shape[1] // width, width, *part.shape[2:])
            tiles[tile_rows, tile_columns, :height, :width] = cut.swapaxes(1, 2)

    def shard(self, frames: int) -> memoryview:
        """The bytes of the shard of the first ``frames``; valid until the next :meth:`put`."""
        steps = -(-frames // self._chunk_frames)
        if frames % self._chunk_frames:
            self._pixels[steps - 1, :, :, frames % self._chunk_frames :] = 0
        used = self._chunks * steps // self._pixels.shape[0]
        for row in self._rows[:used]:
            row[self._chunk_bytes :] = checksum(row[: self._chunk_bytes])
        index = np.full((self._chunks, 2), _EMPTY, "<u8")
        index[:used, 0] = np.arange(used, dtype=np.uint64) * np.uint64(self._rows.shape[1])
        index[:used, 1] = self._rows.shape[1]
        end = used * self._rows.shape[1]
        tail = self._bytes[end : end + index.nbytes + _CHECKSUM_BYTES]
        tail[: index.nbytes] = index.view(np.uint8).reshape(-1)
        tail[index.nbytes :] = checksum(tail[: index.nbytes])
        return self._bytes[: end + len(tail)].data


def checksum(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The 4 bytes that Zarr's codec ``crc32c`` appends."""
    return np.array([google_crc32c.value(data.tobytes())], "<u4").view(np.uint8)


def _spans(length: int, tile: int) -> Iterator[tuple[slice, slice]]:
    """Which tiles hold which pixels: the whole ones, then the one over the edge."""
    whole, rest = divmod(length, tile)
    if whole:
        yield slice(0, whole), slice(0, whole * tile)
    if rest:
        yield slice(whole, whole + 1), slice(whole * tile, length)

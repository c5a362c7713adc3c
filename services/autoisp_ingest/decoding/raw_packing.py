"""Packed raw values, as MIPI CSI-2 receivers write them to memory, as plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Packing:
    """How neighbouring pixels of a row share bytes.

    Args:
        name: what sidecars call it.
        pixels, group_bytes: so many pixels lie in so many bytes.
        bit_depths: of a value.
        unpack: (rows, groups × group_bytes) uint8 → (rows, groups × pixels) uint16.
    """

    name: str
    pixels: int
    group_bytes: int
    bit_depths: tuple[int, ...]
    unpack: Callable[[NDArray[np.uint8]], NDArray[np.uint16]]

    def row_bytes(self, width: int) -> int:
        """Bytes that a row of ``width`` pixels needs; its last group may be filled in part."""
        return -(-width // self.pixels) * self.group_bytes

    def rows(self, data: bytes, width: int, row_stride: int) -> NDArray[np.uint16]:
        """(height, width) values of rows that begin every ``row_stride`` bytes."""
        rows = np.frombuffer(data, np.uint8).reshape(-1, row_stride)[:, : self.row_bytes(width)]
        return self.unpack(rows)[:, :width]


def _raw10(rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """4 pixels in 5 bytes: the high 8 bits of each, then the low 2 bits of all, the first pixel's lowest."""
    groups = rows.reshape(len(rows), -1, 5)
    values = groups[..., :4].astype(np.uint16) << np.uint16(2)
    values |= (groups[..., 4:] >> np.array([0, 2, 4, 6], np.uint8)) & np.uint8(3)
    return values.reshape(len(rows), -1)


def _raw12(rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """2 pixels in 3 bytes: the high 8 bits of each, then the low 4 bits of both, the first pixel's lowest."""
    groups = rows.reshape(len(rows), -1, 3)
    values = groups[..., :2].astype(np.uint16) << np.uint16(4)
    values |= (groups[..., 2:] >> np.array([0, 4], np.uint8)) & np.uint8(15)
    return values.reshape(len(rows), -1)


def _raw16(rows: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """One pixel in 2 bytes, little-endian, its value in the low bits."""
    values: NDArray[np.uint16] = np.ascontiguousarray(rows).view("<u2").astype(np.uint16, copy=False)
    return values


PACKINGS = {
    packing.name: packing
    for packing in (
        Packing("raw10", 4, 5, (10,), _raw10),
        Packing("raw12", 2, 3, (12,), _raw12),
        Packing("raw16", 1, 2, tuple(range(8, 17)), _raw16),
    )
}

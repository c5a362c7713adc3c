"""How a clip's planes are cut into chunks and shards.

Readers take patches of a few consecutive frames at random places, so a chunk is a tile of some frames. Object
stores are slow at many small objects, so a shard is all tiles of one *block*: as many frames as fit some 50
MiB, all planes together. A block is also what a writer holds in memory and writes at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from autoisp_core.frames import FrameFormat

VERSION = 1
"""Of the layout: the group's attribute ``version``."""
BLOCK_BYTES = 50 << 20
_CHUNK_BYTES = 512 * 1024
_CHUNK_FRAMES = 8
_BLOCK_FRAMES = 128  # who waits until frames of a live camera are stored shall not wait for ever


@dataclass(frozen=True)
class PlaneLayout:
    """One array.

    Args:
        name: of the array in the clip's group.
        shape: of one frame.
        chunk: frames, rows, columns (, channels) of a chunk.
        tiles: chunks in a column and in a row of one frame.
        block_frames: frames of a shard; whole chunks.
    """

    name: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    tiles: tuple[int, int]
    block_frames: int

    @property
    def shard(self) -> tuple[int, ...]:
        """Frames, rows, columns (, channels) of a shard; it may reach over the frame's edge."""
        _, rows, columns, *channels = self.chunk
        return (self.block_frames, rows * self.tiles[0], columns * self.tiles[1], *channels)


def layouts(frame_format: FrameFormat) -> tuple[PlaneLayout, ...]:
    """Of each plane, in the order of ``frame_format.planes()``.

    Tiles of one frame are of equal size, so that hardly anything reaches over its edge.
    """
    block_frames = min(_BLOCK_FRAMES, max(1, BLOCK_BYTES // frame_format.frame_bytes))
    chunk_frames = min(_CHUNK_FRAMES, 1 << (block_frames.bit_length() - 1))
    block_frames -= block_frames % chunk_frames
    planes = frame_format.planes()
    height, width, *channels = next(iter(planes.values()))
    pixel_bytes = (channels[0] if channels else 1) * (1 if frame_format.bit_depth == 8 else 2)
    side = isqrt(_CHUNK_BYTES // (chunk_frames * pixel_bytes))
    tiles = (max(1, round(height / side)), max(1, round(width / side)))
    return tuple(
        PlaneLayout(
            name,
            shape,
            (chunk_frames, -(-shape[0] // tiles[0]), -(-shape[1] // tiles[1]), *shape[2:]),
            tiles,
            block_frames,
        )
        for name, shape in planes.items()
    )

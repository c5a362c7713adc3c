"""Memory that both processes see: frames go through it without being copied into a pipe and out again."""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_VALUE_BYTES = 4
SIDE_VALUES = 3 + 9 + 2
"""Gains, ccm and noise of a frame."""


class Room:
    """Anonymous memory behind a file descriptor. Neither side can shrink it.

    Args:
        descriptor: of the memory; the other process has inherited it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map: mmap.mmap | None = None

    @classmethod
    def make(cls) -> Room:
        """A page of memory, that only children who are handed the descriptor get."""
        room = cls(os.memfd_create("autoisp-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        # A child that shrank it would have us read where nothing is, which ends a process.
        fcntl.fcntl(room.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        room.grow(mmap.PAGESIZE)
        return room

    def grow(self, size: int) -> None:
        """Makes sure that there are so many bytes; the side that writes first does it."""
        if os.fstat(self.descriptor).st_size < size:
            os.ftruncate(self.descriptor, size)

    def view(self, size: int) -> memoryview:
        """The first `size` bytes."""
        if self._map is None or len(self._map) < size:
            # What still looks into the old map keeps it; otherwise it goes here.
            self._map = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
        return memoryview(self._map)[:size]

    def close(self) -> None:
        """Forgets the memory."""
        self._map = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1


def frame_bytes(frames: int, height: int, width: int) -> int:
    """Bytes for one frame's inputs, raw planes of height × width, and its picture."""
    return _VALUE_BYTES * (frames * 4 * height * width + SIDE_VALUES + 3 * 4 * height * width)


def frame_views(room: Room, shape: tuple[int, int, int]) -> tuple[Array, Array, Array]:
    """Raw (T, 4, h, w), the side values and the picture (3, 2h, 2w), as they lie in the room."""
    frames, height, width = shape
    values = np.frombuffer(room.view(frame_bytes(*shape)), np.float32)
    raw = frames * 4 * height * width
    return (
        values[:raw].reshape(frames, 4, height, width),
        values[raw : raw + SIDE_VALUES],
        values[raw + SIDE_VALUES :].reshape(3, 2 * height, 2 * width),
    )

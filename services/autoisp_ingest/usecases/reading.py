"""Reading frames of a clip, as many and as large as anybody likes, a piece at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from autoisp_core.errors import InvalidArgumentError, OutOfRangeError
from autoisp_core.frames import Box, FrameFormat, FrameKind
from autoisp_core.names import CLIP
from numpy.typing import NDArray

from autoisp_ingest.domain import Clip
from autoisp_ingest.usecases.clips import Clips
from autoisp_ingest.usecases.ports import FrameReader, FrameStore

_PIECE_BYTES = 8 << 20
"""Read at once; frames are stored some together, and one alone may be hundreds of megabytes."""
_FRAMES_TOGETHER = 8


class Layout(Enum):
    """What a frame is read as."""

    STORED = "STORED"
    RGB = "RGB"


@dataclass(frozen=True)
class Selection:
    """What somebody wants to read; unchecked.

    ``end_frame`` 0 means to the clip's end, ``step`` 0 each frame.
    """

    clip: str
    layout: Layout | None
    first_frame: int = 0
    end_frame: int = 0
    step: int = 0
    box: Box | None = None

    def frames(self, count: int) -> range:
        """The frames meant, of a clip that has ``count``.

        Raises:
            InvalidArgumentError, OutOfRangeError: naming the field.
        """
        if self.step < 0:
            raise InvalidArgumentError("step", f"step is {self.step}: give 1 or more, or 0 for each frame")
        if self.first_frame < 0:
            raise InvalidArgumentError("first_frame", f"first_frame is {self.first_frame}: give 0 or more")
        end = self.end_frame or count
        for field, outside in (("first_frame", self.first_frame >= count), ("end_frame", end > count)):
            if outside:
                raise OutOfRangeError(
                    f"{field} is outside of {self.clip}, which has {count} frames", metadata={"field": field}
                )
        if end <= self.first_frame:
            raise InvalidArgumentError(
                "end_frame", f"[{self.first_frame}, {end}) holds no frame: give end_frame > first_frame"
            )
        return range(self.first_frame, end, self.step or 1)


@dataclass(frozen=True)
class Reading:
    """What will be read.

    Args:
        clip: the whole clip.
        format: of what is given out: one frame's bytes are its planes, one behind the other.
        frame_count: how many frames will come.
        pieces: see :class:`Piece`; in order.
    """

    clip: Clip
    format: FrameFormat
    frame_count: int
    pieces: AsyncIterator[Piece]


@dataclass(frozen=True)
class Piece:
    """A part of one frame, of some megabytes.

    Args:
        frame: counts from the clip's start.
        time_ns: of the frame, since the clip's first.
        offset: where ``data`` begins in the frame's bytes.
    """

    frame: int
    time_ns: int
    offset: int
    data: bytes


class ReadFrames:
    """Opens clips for reading.

    Args:
        clips: where the clips are.
        frames: where their frames are.
        at_once: how many pieces may be read at the same time, which bounds the memory they take.
    """

    def __init__(self, clips: Clips, frames: FrameStore, at_once: int = 4) -> None:
        self._clips = clips
        self._frames = frames
        self._turns = asyncio.Semaphore(at_once)

    async def __call__(self, selection: Selection) -> Reading:
        """Check the selection and open the clip; nothing is read before the pieces are asked for.

        Raises:
            InvalidArgumentError: naming the field.
            NotFoundError: there is no such clip.
            OutOfRangeError: frames or box reach out of it.
            DataLossError: its frames are damaged; the pieces raise it too.
            UnavailableError: the store can't be reached; the pieces raise it too.
        """
        CLIP.parse(selection.clip, "clip")
        clip = await self._clips.get(selection.clip)
        if selection.layout is None:
            raise InvalidArgumentError("layout", "say what to read: LAYOUT_STORED or LAYOUT_RGB")
        wanted = selection.frames(clip.frame_count)
        reader = await asyncio.to_thread(self._frames.open, clip.frames_uri)
        given, box = _given(reader, selection.layout, selection.box)
        parts = _parts(reader, selection.layout, given, box, wanted)
        return Reading(clip, given, len(wanted), self._pieces(parts))

    async def _pieces(self, parts: Iterator[Piece]) -> AsyncIterator[Piece]:
        while True:
            async with self._turns:
                piece = await asyncio.to_thread(next, parts, None)
            if piece is None:
                return
            yield piece


def _given(reader: FrameReader, layout: Layout, box: Box | None) -> tuple[FrameFormat, Box]:
    """The format of what is given out, and the whole box."""
    if layout is Layout.RGB:
        box = box or Box(0, 0, *reader.rgb_size)
        box.check(*reader.rgb_size)
        depth = 8 if reader.rgb_dtype == "uint8" else 16
        return FrameFormat(FrameKind.RGB, depth, box.width, box.height), box
    stored = reader.format
    box = box or Box(0, 0, stored.stored_width, stored.stored_height)
    box.check(stored.stored_width, stored.stored_height, *reader.steps)
    return replace(stored, stored_width=box.width, stored_height=box.height), box


def _parts(
    reader: FrameReader, layout: Layout, given: FrameFormat, box: Box, wanted: range
) -> Iterator[Piece]:
    times_ns = reader.times_ns()
    if given.frame_bytes > _PIECE_BYTES:
        for frame in wanted:
            offset = 0
            for data in _bands(reader, layout, given, box, frame):
                yield Piece(frame, int(times_ns[frame]), offset, data)
                offset += len(data)
        return
    together = max(1, min(_PIECE_BYTES // given.frame_bytes, _FRAMES_TOGETHER)) if wanted.step == 1 else 1
    position = wanted.start
    while position < wanted.stop:
        # Up to the next multiple, where those end that are stored together.
        end = min(wanted.stop, position + together - position % together)
        planes = _read(reader, layout, position, end, box)
        for frame in range(position, end):
            data = b"".join(plane[frame - position].tobytes() for plane in planes)
            yield Piece(frame, int(times_ns[frame]), 0, data)
        position = end if wanted.step == 1 else position + wanted.step


def _bands(reader: FrameReader, layout: Layout, given: FrameFormat, box: Box, frame: int) -> Iterator[bytes]:
    """One large frame, some rows at a time."""
    for name, shape in given.planes().items():
        # Rows of whole chrominance pixels and tiles.
        rows = max(2, _PIECE_BYTES * shape[0] // given.frame_bytes // 2 * 2)
        step = given.v_step if name in ("u", "v") else 1
        for top in range(0, box.height, rows * step):
            height = min(rows * step, box.height - top)
            band = Box(box.x, box.y + top, box.width, height)
            yield _read(reader, layout, frame, frame + 1, band, name)[0].tobytes()


def _read(
    reader: FrameReader, layout: Layout, first: int, end: int, box: Box, name: str = ""
) -> list[NDArray[Any]]:
    if layout is Layout.RGB:
        return [reader.rgb(first, end, box)]
    return list(reader.stored(first, end, box, (name,) if name else ()).values())

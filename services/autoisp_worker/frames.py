"""Clean frames from the artifact store, kept in memory as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import cast, overload

import numpy as np
import numpy.typing as npt
import structlog
from autoisp_core.errors import DataLossError, NotFoundError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames

from autoisp_worker.domain import ClipRange
from autoisp_worker.readable import UNREADABLE_AT_MOST, FootageUnreadableError, readable_runs

Frames = npt.NDArray[np.uint8 | np.uint16]
"""sRGB (T, H, W, 3) or one frame of it: uint8 of clips with 8 bits, uint16 of deeper ones and of raw ones."""

WINDOW = 8
"""Consecutive frames that stay together where a clip is thinned out: training needs motion."""

_LAZY_SHARE = 4
"""Of the room for frames to judge, this part is for those of a clip that does not fit into it."""

_log = structlog.get_logger(__name__)


class FrameCache:
    """Reads clips, and keeps what was read last. For one thread.

    Args:
        store: where the clips are.
        limit_bytes: of decoded frames in memory; three quarters of it are for training frames.
    """

    def __init__(self, store: ArtifactStore, limit_bytes: int) -> None:
        self._store = store
        self._limit = limit_bytes
        self._training_limit = limit_bytes * 3 // 4
        self._kept: OrderedDict[tuple[str, int, int], Frames] = OrderedDict()
        self._damaged: dict[
            tuple[str, int, int], tuple[DataLossError | NotFoundError, list[tuple[int, int]]]
        ] = {}

    @property
    def held_bytes(self) -> int:
        """What is in memory now."""
        return sum(frames.nbytes for frames in self._kept.values())

    def training(self, clips: Sequence[ClipRange]) -> list[tuple[str, Frames]]:
        """(name, frames (T, H, W, 3)) of all clips; of evenly spread windows if they don't fit.

        Frames that can't be read are left out: what lies between them becomes clips of their own.

        Raises:
            NotFoundError: a clip's frames are not in the store.
            FootageUnreadableError: too many frames are damaged or missing.
            DataLossError: a clip is not what the manifest says.
            UnavailableError: the store can't be reached.
        """
        opened = [(clip, self._open(clip)) for clip in clips]
        total = sum(clip.frame_count * source.rgb_frame_bytes for clip, source in opened)
        ranges = [(clip, source, [(clip.first_frame, clip.end_frame)]) for clip, source in opened]
        if total > self._training_limit:
            share = self._training_limit / total
            _log.warning(
                "training on a part of the frames: all of them do not fit into memory",
                footage_bytes=total,
                limit_bytes=self._training_limit,
                share=round(share, 3),
            )
            ranges = [
                (clip, source, list(spread_windows(clip.first_frame, clip.end_frame, share)))
                for clip, source in opened
            ]
        return self._readable(ranges)

    def _readable(
        self, ranges: Sequence[tuple[ClipRange, ClipFrames, Sequence[tuple[int, int]]]]
    ) -> list[tuple[str, Frames]]:
        """(name, frames) of what can be read of the ranges of each clip."""
        found: list[tuple[str, Frames]] = []
        damage: list[DataLossError | NotFoundError] = []
        wanted = read = 0
        for clip, source, windows in ranges:
            for first, end in windows:
                wanted += end - first
                for start, stop in self._runs(clip, source, first, end, damage):
                    read += stop - start
                    whole = (start, stop) == (clip.first_frame, clip.end_frame)
                    name = clip.clip if whole else f"{clip.clip}@{start}"
                    found.append((name, self._read(clip, source, start, stop)))
        if damage:
            if wanted - read > UNREADABLE_AT_MOST * wanted:
                # Whoever is told so may put the frames back.
                self._damaged.clear()
                raise FootageUnreadableError(wanted - read, wanted, damage[0])
            _log.warning(
                "training without the frames that can't be read",
                unreadable=wanted - read,
                frames=wanted,
                first=str(damage[0]),
            )
        return found

    def _runs(
        self,
        clip: ClipRange,
        source: ClipFrames,
        first: int,
        end: int,
        damage: list[DataLossError | NotFoundError],
    ) -> list[tuple[int, int]]:
        """The readable parts of a range; why the whole is not goes to ``damage``.

        They are searched for once, frame by frame, and remembered for all trials to come.
        """
        key = (clip.frames_uri, first, end)
        if key not in self._damaged:
            try:
                self._read(clip, source, first, end)
            except (DataLossError, NotFoundError) as error:
                runs = list(readable_runs(source.rgb, first, end))
                # What led to it would keep the pictures that were read until then in memory.
                error.__cause__ = error.__context__ = None
                self._damaged[key] = (error.with_traceback(None), runs)
            else:
                return [(first, end)]
        why, runs = self._damaged[key]
        damage.append(why)
        return runs

    def frames(self, clip: ClipRange) -> Sequence[Frames]:
        """The clip's range as a sequence of frames (H, W, 3); one that is too large is read bit by bit.

        Raises:
            As :meth:`training`; a frame that is read later raises then.
        """
        source = self._open(clip)
        room = self._limit - self._training_limit
        if clip.frame_count * source.rgb_frame_bytes <= room:
            return cast(Sequence[Frames], self._whole(clip, source))
        return _LazyFrames(clip, source, room // _LAZY_SHARE)

    def _whole(self, clip: ClipRange, source: ClipFrames) -> Frames:
        return self._read(clip, source, clip.first_frame, clip.end_frame)

    def _read(self, clip: ClipRange, source: ClipFrames, first: int, end: int) -> Frames:
        key = (clip.frames_uri, first, end)
        kept = self._kept.get(key)
        if kept is None:
            kept = source.rgb(first, end)
            self._kept[key] = kept
            while self.held_bytes > self._limit and len(self._kept) > 1:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept

    def _open(self, clip: ClipRange) -> ClipFrames:
        source = ClipFrames.open(self._store, clip.frames_uri)
        if not 0 <= clip.first_frame < clip.end_frame <= source.count:
            raise DataLossError(
                f"{clip.clip} has {source.count} frames, not [{clip.first_frame}, {clip.end_frame}); "
                "create the dataset again",
                reason="CLIP_UNREADABLE",
                metadata={"clip": clip.clip},
            )
        return source


class _LazyFrames(Sequence[Frames]):
    """A clip's range, read when it is asked for: the frame and, as far as there is room, those around it.

    Args:
        clip: the range.
        source: its frames.
        room: bytes of frames to keep.
    """

    def __init__(self, clip: ClipRange, source: ClipFrames, room: int) -> None:
        self._clip, self._source = clip, source
        # Frames are stored some together: who reads them one by one would read each of them so many times.
        self._together = max(1, min(WINDOW, room // source.rgb_frame_bytes))
        self._first, self._window = 0, cast(Frames, np.empty((0, 0, 0, 3), np.uint8))

    def __len__(self) -> int:
        return self._clip.frame_count

    @overload
    def __getitem__(self, index: int) -> Frames: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frames]: ...

    def __getitem__(self, index: int | slice) -> Frames | list[Frames]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        wanted = self._clip.first_frame + index
        if not self._first <= wanted < self._first + len(self._window):
            self._first = max(self._clip.first_frame, wanted - wanted % self._together)
            end = min(self._clip.end_frame, wanted - wanted % self._together + self._together)
            self._window = self._source.rgb(self._first, end)
        return cast(Frames, self._window[wanted - self._first])


def spread_windows(first: int, end: int, share: float) -> Iterator[tuple[int, int]]:
    """Windows of up to ``WINDOW`` frames, evenly spread over about ``share`` of [first, end); at least one.

    >>> list(spread_windows(0, 64, 0.25))
    [(12, 20), (44, 52)]
    """
    length = min(WINDOW, end - first)
    windows = max(1, int(share * (end - first) / length))
    for window in range(windows):
        middle = first + int((window + 0.5) * (end - first) / windows)
        start = min(max(first, middle - length // 2), end - length)
        yield start, start + length

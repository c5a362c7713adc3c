"""Clean frames from the artifact store, kept in memory as far as they fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
import numpy.typing as npt
import structlog
from autoisp_core.errors import AutoISPError, DataLossError, NotFoundError, UnavailableError
from autoisp_runtime.artifacts import ArtifactStore
from obstore.exceptions import BaseError

from autoisp_worker.domain import ClipRange

if TYPE_CHECKING:
    import zarr

Frames = npt.NDArray[np.uint8]

WINDOW = 8
"""Consecutive frames that stay together where a clip is thinned out: training needs motion."""

_log = structlog.get_logger(__name__)


class FrameCache:
    """Reads clips, and keeps what was read last. For one thread.

    Args:
        store: where the clips' Zarr arrays are.
        limit_bytes: of decoded frames in memory; three quarters of it are for training frames.
    """

    def __init__(self, store: ArtifactStore, limit_bytes: int) -> None:
        self._store = store
        self._limit = limit_bytes
        self._training_limit = limit_bytes * 3 // 4
        self._kept: OrderedDict[tuple[str, int, int], Frames] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        """What is in memory now."""
        return sum(frames.nbytes for frames in self._kept.values())

    def training(self, clips: Sequence[ClipRange]) -> list[tuple[str, Frames]]:
        """(name, frames (T, H, W, 3) uint8) of all clips; of evenly spread windows if they don't fit.

        Raises:
            NotFoundError: a clip's frames are not in the store.
            DataLossError: they are not what the manifest says.
            UnavailableError: the store can't be reached.
        """
        arrays = [(clip, self._open(clip)) for clip in clips]
        total = sum(clip.frame_count * _frame_bytes(array) for clip, array in arrays)
        if total <= self._training_limit:
            return [(clip.clip, self._whole(clip, array)) for clip, array in arrays]
        share = self._training_limit / total
        _log.warning(
            "training on a part of the frames: all of them do not fit into memory",
            footage_bytes=total,
            limit_bytes=self._training_limit,
            share=round(share, 3),
        )
        thinned = []
        for clip, array in arrays:
            for first, end in spread_windows(clip.first_frame, clip.end_frame, share):
                thinned.append((f"{clip.clip}@{first}", self._read(clip, array, first, end)))
        return thinned

    def frames(self, clip: ClipRange) -> Sequence[Frames]:
        """The clip's range as a sequence of frames (H, W, 3) uint8; one that is too large is read bit by bit.

        Raises:
            As :meth:`training`; a frame that is read later raises then.
        """
        array = self._open(clip)
        if clip.frame_count * _frame_bytes(array) <= self._limit - self._training_limit:
            return cast(Sequence[Frames], self._whole(clip, array))
        return _LazyFrames(self, clip, array)

    def _whole(self, clip: ClipRange, array: zarr.Array[Any]) -> Frames:
        return self._read(clip, array, clip.first_frame, clip.end_frame)

    def _read(self, clip: ClipRange, array: zarr.Array[Any], first: int, end: int) -> Frames:
        key = (clip.frames_uri, first, end)
        kept = self._kept.get(key)
        if kept is None:
            kept = self.read(clip, array, first, end)
            self._kept[key] = kept
            while self.held_bytes > self._limit and len(self._kept) > 1:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept

    def read(self, clip: ClipRange, array: zarr.Array[Any], first: int, end: int) -> Frames:
        """Frames [first, end) past the cache."""
        try:
            return np.ascontiguousarray(array[first:end])
        except Exception as error:
            raise _typed(error, clip) from error

    def _open(self, clip: ClipRange) -> zarr.Array[Any]:
        # Slow to import, and a worker should be ready before its first job needs it.
        import zarr

        try:
            array = zarr.open_array(store=self._store.zarr_store(clip.frames_uri, read_only=True), mode="r")
        except Exception as error:
            raise _typed(error, clip) from error
        if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8:
            raise DataLossError(
                f"{clip.clip} is no RGB8 video: {array.dtype} {array.shape}; upload it again",
                reason="CLIP_UNREADABLE",
                metadata={"clip": clip.clip},
            )
        if not 0 <= clip.first_frame < clip.end_frame <= array.shape[0]:
            raise DataLossError(
                f"{clip.clip} has {array.shape[0]} frames, not [{clip.first_frame}, {clip.end_frame}); "
                "create the dataset again",
                reason="CLIP_UNREADABLE",
                metadata={"clip": clip.clip},
            )
        return array


class _LazyFrames(Sequence[Frames]):
    """A clip's range, every frame read when it is asked for."""

    def __init__(self, cache: FrameCache, clip: ClipRange, array: zarr.Array[Any]) -> None:
        self._cache, self._clip, self._array = cache, clip, array

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
        first = self._clip.first_frame + index
        return cast(Frames, self._cache.read(self._clip, self._array, first, first + 1)[0])


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


def _frame_bytes(array: zarr.Array[Any]) -> int:
    return int(np.prod(array.shape[1:]))


def _typed(error: Exception, clip: ClipRange) -> AutoISPError:
    """Zarr goes past the artifact store's own errors; sort what comes out of it."""
    if isinstance(error, AutoISPError):
        return error
    if isinstance(error, FileNotFoundError):
        return NotFoundError(
            clip.clip,
            f"the frames of {clip.clip} are not in the store; upload it again",
            reason="CLIP_MISSING",
        )
    if isinstance(error, BaseError | OSError):
        return UnavailableError(
            f"the artifact store failed on {clip.frames_uri}: {error}", reason="STORE_UNAVAILABLE"
        )
    return DataLossError(
        f"the frames of {clip.clip} can't be read: {error}; upload it again",
        reason="CLIP_UNREADABLE",
        metadata={"clip": clip.clip},
    )

"""Raw as a camera recorded it, from clips whose stored frames are a mosaic: it has no truth."""

from __future__ import annotations

import numpy as np
import structlog
import torch
from autoisp_core.errors import DataLossError, NotFoundError
from autoisp_core.frames import Box, FrameKind
from autoisp_core.sensor import Noise, SensorProfile
from autoisp_isp.raw import normalise, pack, red_offset
from autoisp_isp.teacher import Question
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames

from autoisp_worker.domain import ClipRange
from autoisp_worker.readable import UNREADABLE_AT_MOST, FootageUnreadableError, readable_runs

_TILE = 2

_log = structlog.get_logger(__name__)


class RealRaw:
    """Patches at random places of clips of real raw. For one thread.

    Frames that can't be read are left out, as long as they are few.

    Args:
        store: where the clips are.
        clips: in which to look; those that are no mosaic, or smaller than a patch, are left out.
        sensor: of the search; whether raw has a colour matrix, and which noise it has where a clip does not
            say, are taken from it.
        edge: of a patch, in raw pixels of each plane.
        frames: in a patch.
        seed: of the places.

    Raises:
        NotFoundError: a clip is not in the store.
        DataLossError: it is not what the manifest says.
        UnavailableError: the store can't be reached.
    """

    def __init__(
        self,
        store: ArtifactStore,
        clips: list[ClipRange],
        sensor: SensorProfile,
        *,
        edge: int,
        frames: int,
        seed: int,
    ) -> None:
        self._edge, self._frames, self._seed = edge, frames, seed
        self._sensor = sensor
        opened = [(clip, ClipFrames.open(store, clip.frames_uri)) for clip in clips]
        self._clips = [_Clip(clip, source) for clip, source in opened if self._fits(source)]
        # The limit is one of all training frames, as it is where they are read as footage.
        self._wanted = sum(clip.frame_count for clip in clips)
        self._unreadable = 0

    def __len__(self) -> int:
        """How many clips there are to take patches from."""
        return len(self._clips)

    def __call__(self, number: int) -> Question:
        """The ``number``-th patch; see :class:`autoisp_isp.teacher.Asker`.

        Raises:
            FootageUnreadableError: too many frames are damaged or missing.
            UnavailableError: the store can't be reached.
        """
        while True:
            clip = self._clips[number % len(self._clips)]
            try:
                return self._question(clip, np.random.default_rng((self._seed, number)))
            except (DataLossError, NotFoundError) as error:
                self._leave_out(clip, error)

    def _question(self, clip: _Clip, random: np.random.Generator) -> Question:
        source, (begin, stop) = clip.source, clip.run(random)
        wanted = [begin + index for index in _times(random, stop - begin, self._frames)]
        first, end = min(wanted), max(wanted) + 1
        height, width = self._stored_size(source)
        top, left = (
            _TILE * int(random.integers((size - part) // _TILE + 1))
            for size, part in (
                (source.format.stored_height, height),
                (source.format.stored_width, width),
            )
        )
        box = Box(left, top, width, height)
        codes = source.stored(first, end, box)["frames"]
        assert source.sensor is not None
        raw = normalise(codes, source.sensor.black_level, source.sensor.white_level)
        planes = pack(torch.from_numpy(raw), source.format.cfa)[..., : self._edge, : self._edge]
        noise = self._noise(source.sensor)
        ccm = self._sensor.ccm if self._sensor.has_identity_ccm else source.sensor.ccm
        return Question(
            raw=torch.stack([planes[index - first] for index in wanted]).contiguous(),
            gains=torch.tensor(source.sensor.gains, dtype=torch.float32),
            ccm=torch.tensor(ccm, dtype=torch.float32),
            noise=torch.tensor([noise.shot, noise.read], dtype=torch.float32),
            truth=None,
        )

    def _leave_out(self, clip: _Clip, error: DataLossError | NotFoundError) -> None:
        """Patches come from the clip's readable frames from now on.

        Raises:
            FootageUnreadableError: of all clips, too few are left.
            DataLossError, NotFoundError: the error given, if what can't be read was left out before.
        """
        if clip.searched:
            raise error
        self._unreadable += clip.search(self._frames)
        if self._unreadable > UNREADABLE_AT_MOST * self._wanted:
            raise FootageUnreadableError(self._unreadable, self._wanted, error) from error
        _log.warning(
            "lessons without the raw frames that can't be read",
            clip=clip.range.clip,
            unreadable=self._unreadable,
            frames=self._wanted,
            first=str(error),
        )
        if not clip.runs:
            self._clips.remove(clip)
        if not self._clips:
            raise error

    def _fits(self, source: ClipFrames) -> bool:
        if source.format.kind is not FrameKind.BAYER:
            return False
        height, width = self._stored_size(source)
        return source.format.stored_height >= height and source.format.stored_width >= width

    def _stored_size(self, source: ClipFrames) -> tuple[int, int]:
        """Height and width of what is read for a patch: a tile more where the mosaic's first is not RGGB."""
        row, column = red_offset(source.format.cfa)
        return _TILE * (self._edge + row), _TILE * (self._edge + column)

    def _noise(self, sensor: SensorProfile) -> Noise:
        """What the clip's files say of its noise, else the middle of what the search expects."""
        if sensor.test_noise is not None:
            return sensor.test_noise
        expected = self._sensor.evaluation_noises()
        return expected[len(expected) // 2]


class _Clip:
    """A clip of real raw, and the ranges of its frames that patches come from."""

    def __init__(self, clip: ClipRange, source: ClipFrames) -> None:
        self.range, self.source = clip, source
        self.runs = [(clip.first_frame, clip.end_frame)]
        self.searched = False

    def run(self, random: np.random.Generator) -> tuple[int, int]:
        """One of the ranges; no draw is spent where there is no choice."""
        if len(self.runs) == 1:
            return self.runs[0]
        lengths = np.array([end - first for first, end in self.runs])
        return self.runs[int(random.choice(len(lengths), p=lengths / lengths.sum()))]

    def search(self, frames: int) -> int:
        """Tries all frames; returns how many can't be read. Patches have ``frames`` of those that can."""
        runs = list(readable_runs(self.source.stored, self.range.first_frame, self.range.end_frame))
        # A single frame between damaged ones would be shown as a film whose noise stands still.
        self.runs = [(first, end) for first, end in runs if end - first >= min(frames, 2)]
        self.searched = True
        return self.range.frame_count - sum(end - first for first, end in runs)


def _times(random: np.random.Generator, length: int, frames: int) -> list[int]:
    """Consecutive frames, oldest first; a clip that is too short is walked to its end and back.

    Never one frame twice in a row: its noise would be the same both times, which no camera delivers.
    """
    if length == 1:
        return [0] * frames
    way = 2 * (length - 1)
    begin = int(random.integers(max(length - frames + 1, 1)) if length >= frames else random.integers(way))
    return [length - 1 - abs((begin + step) % way - (length - 1)) for step in range(frames)]

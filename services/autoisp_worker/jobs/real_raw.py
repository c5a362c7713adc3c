"""Raw as a camera recorded it, from clips whose stored frames are a mosaic: it has no truth."""

from __future__ import annotations

import numpy as np
import torch
from autoisp_core.frames import Box, FrameKind
from autoisp_core.sensor import Noise, SensorProfile
from autoisp_isp.raw import normalise, pack, red_offset
from autoisp_isp.teacher import Question
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames

from autoisp_worker.domain import ClipRange

_TILE = 2


class RealRaw:
    """Patches at random places of clips of real raw. For one thread.

    Args:
        store: where the clips are.
        clips: in which to look; those that are no mosaic, or smaller than a patch, are left out.
        sensor: of the search; whether raw has a colour matrix, and which noise it has where a clip does not
            say, are taken from it.
        edge: of a patch, in raw pixels of each plane.
        frames: in a patch.
        seed: of the places.

    Raises:
        NotFoundError: a clip's frames are not in the store.
        DataLossError: they are not what the manifest says.
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
        self._clips = [(clip, source) for clip, source in opened if self._fits(source)]

    def __len__(self) -> int:
        """How many clips there are to take patches from."""
        return len(self._clips)

    def __call__(self, number: int) -> Question:
        """The ``number``-th patch; see :class:`autoisp_isp.teacher.Asker`.

        Raises:
            As the constructor.
        """
        random = np.random.default_rng((self._seed, number))
        clip, source = self._clips[number % len(self._clips)]
        wanted = [clip.first_frame + index for index in _times(random, clip.frame_count, self._frames)]
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


def _times(random: np.random.Generator, length: int, frames: int) -> list[int]:
    """Consecutive frames, oldest first; a clip that is too short is walked to its end and back.

    Never one frame twice in a row: its noise would be the same both times, which no camera delivers.
    """
    if length == 1:
        return [0] * frames
    way = 2 * (length - 1)
    begin = int(random.integers(max(length - frames + 1, 1)) if length >= frames else random.integers(way))
    return [length - 1 - abs((begin + step) % way - (length - 1)) for step in range(frames)]

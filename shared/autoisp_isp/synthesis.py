"""Noisy raw video made from clean sRGB frames: the same clip, frame and seed always give the same raw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, SensorProfile
from torch import Tensor

from autoisp_isp.colour import process, unprocess
from autoisp_isp.raw import Frames, even_crop, mosaic_of
from autoisp_isp.seeds import seed_of


def frame_seed(clip_digest: str, frame_index: int, seed: int) -> int:
    """A 63-bit seed for the noise of one frame: it depends on nothing but its arguments."""
    return seed_of(f"{clip_digest}/{frame_index}/{seed}")


def add_noise(raw: Tensor, noise: Noise, generator: torch.Generator) -> Tensor:
    """Clean raw in [0, 1] plus Gaussian noise of variance `shot · x + read`.

    Values above white are clipped as a sensor clips them; those below black stay, since cutting them off
    would make shadows brighter on average. `generator` is a CPU generator: the same seed gives the same noise
    on every device.
    """
    unit = torch.randn(raw.shape, generator=generator, dtype=torch.float32).to(raw.device)
    return (raw + (noise.shot * raw + noise.read).sqrt() * unit).clamp_max(1.0)


def window_indices(index: int, frames: int) -> list[int]:
    """The frames that a causal window of `frames` ending at `index` holds, oldest first.

    Before the clip's start its first frame is repeated.

    >>> window_indices(1, 3)
    [0, 0, 1]
    """
    return [max(0, earlier) for earlier in range(index - frames + 1, index + 1)]


def to_tensor(frame: Frames) -> Tensor:
    """uint8 or uint16 (..., H, W, 3) to float sRGB (..., 3, H', W') in [0, 1], cropped to even size."""
    white = float(np.iinfo(frame.dtype).max)
    return torch.from_numpy(np.ascontiguousarray(even_crop(frame))).movedim(-1, -3).float() / white


@dataclass(frozen=True)
class RawSample:
    """What a camera delivers for one output frame, and the truth.

    Attributes:
        raw: (T, 4, h, w) noisy packed RGGB, oldest first.
        gains: (3,); ccm: (3, 3); noise: (2,), shot and read variance.
        truth: (3, 2h, 2w) sRGB in [0, 1] of the newest frame.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    truth: Tensor

    def window(self, first: int, frames: int) -> "RawSample":
        """The same with `frames` of its frames only, from the `first` on."""
        return replace(self, raw=self.raw[first : first + frames])


class RawClip:
    """A clip of clean frames as a sensor would record it.

    Args:
        frames: (T, H, W, 3) uint8 or uint16 sRGB; anything that gives such arrays by integer index (NumPy,
        Zarr). sensor: its nominal gains and its colour matrix are used.
        digest: names the clip; its noise depends on it.
        seed: draws another noise for the same clip.
    """

    def __init__(self, frames: Sequence[Frames], sensor: SensorProfile, digest: str, seed: int) -> None:
        if len(frames) == 0:
            raise InvalidArgumentError("clip.frames", "the clip has no frames")
        self._frames = frames
        self._digest = digest
        self._seed = seed
        self._gains = torch.tensor(sensor.gains, dtype=torch.float32)
        self._ccm = torch.tensor(sensor.ccm, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._frames)

    def camera(self, index: int) -> Tensor:
        """Clean camera RGB (3, 2h, 2w) of one frame."""
        return unprocess(to_tensor(np.asarray(self._frames[index])), self._gains, self._ccm)

    def noisy(self, index: int, noise: Noise) -> Tensor:
        """Noisy packed raw (4, h, w) of one frame: the same in every window that holds it."""
        return self._recorded(index, self.camera(index), noise)

    def frame(self, index: int, noise: Noise) -> tuple[Tensor, Tensor]:
        """Noisy packed raw (4, h, w) of one frame and its truth (3, 2h, 2w), at little more than the price
        of one of them."""
        camera = self.camera(index)
        return self._recorded(index, camera, noise), process(camera, self._gains, self._ccm)

    def sample(self, index: int, window: int, noise: Noise) -> RawSample:
        """The causal window of `window` frames that ends at frame `index`, with its truth."""
        wanted = window_indices(index, window)
        planes = {earlier: self.noisy(earlier, noise) for earlier in set(wanted)}
        return RawSample(
            raw=torch.stack([planes[earlier] for earlier in wanted]),
            gains=self._gains,
            ccm=self._ccm,
            noise=torch.tensor([noise.shot, noise.read], dtype=torch.float32),
            truth=process(self.camera(index), self._gains, self._ccm),
        )

    def _recorded(self, index: int, camera: Tensor, noise: Noise) -> Tensor:
        generator = torch.Generator().manual_seed(frame_seed(self._digest, index, self._seed))
        return add_noise(mosaic_of(camera), noise, generator)

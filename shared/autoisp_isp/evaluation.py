"""Quality of a network or a prototype on the frames of a clip."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, SensorProfile

from autoisp_isp.metrics import psnr, ssim
from autoisp_isp.raw import Frames
from autoisp_isp.synthesis import RawClip, RawSample

Array = npt.NDArray[np.float32]


WARM_UP = 12
"""Frames that a recurrent developer sees before the one that is judged: its state has settled by then."""


class Stream(Protocol):
    """Frames of one clip, developed in order."""

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """Raw (T, 4, h, w) whose newest frame comes next, gains (3,), ccm (3, 3), noise (2,) to that frame's
        sRGB (3, 2h, 2w) in [0, 1]."""

    def skip(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> None:
        """As `run`, where nobody wants the picture."""


class Developer(Protocol):
    """Whatever turns noisy raw into pictures: a prototype or an exported network."""

    @property
    def frames(self) -> int:
        """Raw frames in a window, the newest last."""

    @property
    def recurrent(self) -> bool:
        """Whether a picture depends on what the stream developed before."""

    def start(self) -> Stream:
        """A stream without any past."""


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Quality of one frame.

    Attributes:
        index: of the frame in its clip.
        psnr: dB against the truth, no border cropped.
        ssim: structural similarity.
        seconds: that the developer took for it.
    """

    index: int
    psnr: float
    ssim: float
    seconds: float


def spread_indices(length: int, count: int) -> list[int]:
    """At most `count` frame indices, evenly spread over a clip of `length` frames, first and last included.

    >>> spread_indices(10, 4)
    [0, 3, 6, 9]
    """
    if length <= 0 or count <= 0:
        raise InvalidArgumentError("frames", f"can't take {count} of {length} frames: both must be positive")
    if count == 1:
        return [length // 2]
    return sorted({round(index * (length - 1) / (count - 1)) for index in range(count)})


def evaluate(
    developer: Developer,
    frames: Sequence[Frames],
    sensor: SensorProfile,
    noise: Noise | Sequence[Noise],
    seed: int,
    frame_indices: Sequence[int],
    digest: str = "",
    *,
    warm_up: int = WARM_UP,
) -> Iterator[FrameResult]:
    """Develops frames of a clip and measures each against its truth.

    Two developers that are given the same clip, sensor, noise, seed and digest see the same noise.

    Args:
        developer: what to measure.
        frames: (T, H, W, 3) uint8 or uint16 sRGB; odd sizes lose their last row or column. Before the first
        frame a
            window holds the first one again, with the same noise.
        sensor: gains and colour matrix.
        noise: one, or several that the given frames take in turns.
        seed: of the noise.
        frame_indices: which frames.
        digest: the clip's, which its noise depends on.
        warm_up: frames before each judged one that a recurrent developer sees first, with the same strength
            of noise; fewer at the clip's start, where its stream begins without any past.
    """
    noises = [noise] if isinstance(noise, Noise) else list(noise)
    clip = RawClip(frames, sensor, digest, seed)
    for position, index in enumerate(frame_indices):
        stream, sample = approach(developer, clip, index, noises[position % len(noises)], warm_up)
        begun = time.perf_counter()
        picture = develop(stream, sample)
        seconds = time.perf_counter() - begun
        truth = sample.truth.numpy()
        yield FrameResult(index, psnr(picture, truth), ssim(picture, truth), seconds)


def approach(
    developer: Developer, clip: RawClip, index: int, noise: Noise, warm_up: int = WARM_UP
) -> tuple[Stream, RawSample]:
    """A stream that has seen what comes before frame `index`, and that frame's sample.

    For a developer without state that's nothing, and costs nothing.
    """
    earlier = min(index, warm_up) if developer.recurrent else 0
    past = clip.sample(index, developer.frames + earlier, noise)
    stream = developer.start()
    for frame in range(earlier):
        stream.skip(*_arrays(past.window(frame, developer.frames)))
    return stream, past.window(earlier, developer.frames)


def develop(stream: Stream, sample: RawSample) -> Array:
    """Runs one sample as a stream's next frame."""
    return stream.run(*_arrays(sample))


def _arrays(sample: RawSample) -> tuple[Array, Array, Array, Array]:
    return sample.raw.numpy(), sample.gains.numpy(), sample.ccm.numpy(), sample.noise.numpy()

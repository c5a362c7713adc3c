"""What a camera delivers of a frame: raw, and what is told of it. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import Box, FrameFormat
from autoisp_core.sensor import Noise, SensorProfile
from autoisp_isp.raw import Frames, normalise, pack
from autoisp_isp.synthesis import RawClip, to_tensor
from autoisp_runtime.clip_frames.rgb import RgbConverter
from numpy.typing import NDArray

from autoisp_worker.live.domain import LiveFrame, Metadata, StreamHeader, Values, noise_of

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Shot:
    """One frame as developers take it.

    Args:
        raw: (4, h, w) packed RGGB, linear.
        gains: (3,); ccm: (3, 3); noise: (2,).
        truth: (3, 2h, 2w) sRGB, if there is one.
    """

    raw: Array
    gains: Array
    ccm: Array
    noise: Array
    truth: Array | None


class Camera(Protocol):
    """Turns frames into raw, in order."""

    def shoot(self, frame: LiveFrame) -> Shot:
        """The next frame."""


def camera_of(header: StreamHeader, sensor: SensorProfile) -> Camera:
    """The camera of a stream that is developed."""
    return MosaicCamera(header, sensor) if header.bayer else SynthesisCamera(header, sensor)


class Pictures:
    """RGB frames as sRGB (3, H, W) in [0, 1].

    Args:
        frame_format: of the frames.
        box: pixels that are wanted.
    """

    def __init__(self, frame_format: FrameFormat, box: Box) -> None:
        self._converter, self._box = RgbConverter(frame_format), box

    def full_range(self, values: Values) -> Frames:
        """(H, W, 3) over all of 8 or 16 bits."""
        box = self._box
        whole: Frames = self._converter({"frames": values}, box, box)
        return whole[box.y : box.y + box.height, box.x : box.x + box.width]

    def __call__(self, values: Values) -> Array:
        """Of the values of a frame."""
        picture: Array = to_tensor(self.full_range(values)).numpy()
        return picture


class MosaicCamera:
    """A camera that sends its mosaic; what it says of a frame holds until it says something else."""

    def __init__(self, header: StreamHeader, sensor: SensorProfile) -> None:
        self._sensor = sensor.with_test_noise(noise_of(sensor))
        self._cfa = header.format.cfa
        self._truths = Pictures(header.truth_format, header.format.developed_box)

    def shoot(self, frame: LiveFrame) -> Shot:
        """See :class:`Camera`; takes in what came with the frame."""
        if frame.metadata is not None:
            self._sensor = told(self._sensor, frame.metadata)
        sensor = self._sensor
        linear = normalise(frame.values, sensor.black_level, sensor.white_level)
        assert sensor.test_noise is not None
        return Shot(
            raw=pack(torch.from_numpy(linear), self._cfa).numpy(),
            gains=np.array(sensor.gains, np.float32),
            ccm=np.array(sensor.ccm, np.float32),
            noise=np.array([sensor.test_noise.shot, sensor.test_noise.read], np.float32),
            truth=None if frame.truth is None else self._truths(frame.truth),
        )


class SynthesisCamera:
    """A camera that films RGB frames, which are the truth; the same seed gives the same noise."""

    def __init__(self, header: StreamHeader, sensor: SensorProfile) -> None:
        self._pictures = Pictures(header.format, header.format.developed_box)
        self._film = _Film()
        self._noise = noise_of(sensor)
        self._clip = RawClip(self._film, sensor, "", header.seed)  # type: ignore[arg-type]  # by index is enough

    def shoot(self, frame: LiveFrame) -> Shot:
        """See :class:`Camera`."""
        self._film.show(frame.index, self._pictures.full_range(frame.values))
        sample = self._clip.sample(frame.index, 1, self._noise)
        return Shot(
            raw=sample.raw[0].numpy(),
            gains=sample.gains.numpy(),
            ccm=sample.ccm.numpy(),
            noise=sample.noise.numpy(),
            truth=sample.truth.numpy(),
        )


class _Film:
    """As a clip's frames, of which only the newest is there."""

    def __init__(self) -> None:
        self._index = 0
        self._frame: Frames | None = None

    def show(self, index: int, frame: Frames) -> None:
        self._index, self._frame = index, frame

    def __len__(self) -> int:
        return self._index + 1

    def __getitem__(self, index: int) -> Frames:
        if self._frame is None or index != self._index:
            raise IndexError(index)
        return self._frame


def told(sensor: SensorProfile, metadata: Metadata) -> SensorProfile:
    """The sensor as a frame's metadata say that it is now.

    Raises:
        InvalidArgumentError: they make no sense; field ``part.metadata.…``.
    """
    changes: dict[str, object] = {}
    try:
        if metadata.gains is not None:
            changes["gains"] = metadata.gains
        if metadata.ccm is not None:
            ccm = metadata.ccm
            changes["ccm"] = (ccm[0:3], ccm[3:6], ccm[6:9])
        if metadata.noise is not None:
            changes["test_noise"] = Noise(*metadata.noise)
        return replace(sensor, **changes)  # type: ignore[arg-type]
    except InvalidArgumentError as error:
        field = error.field.removeprefix("sensor.")
        raise InvalidArgumentError(f"part.metadata.{field}", error.message) from error

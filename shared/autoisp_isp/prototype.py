"""Prototypes: the slow references that a search makes cheaper."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.prototypes import BUILTIN_PROTOTYPES
from autoisp_core.sensor import SensorProfile

from autoisp_isp.classical import ClassicalPrototype
from autoisp_isp.cost import count_cost
from autoisp_isp.evaluation import Stream
from autoisp_isp.runtime_session import OnnxNetwork, OnnxStream, load_session

Array = npt.NDArray[np.float32]

_BUILTIN, _ONNX = "builtin:", "onnx:"
_BUILTINS = dict(zip(BUILTIN_PROTOTYPES, (ClassicalPrototype,), strict=True))


class Prototype(Protocol):
    """A slow camera algorithm, raw video in, pictures out.

    Attributes:
        frames: raw frames it looks at, the newest last.
        recurrent: whether it also carries something from frame to frame, so that order and past matter.
        inputs: which of `raw`, `gains`, `ccm`, `noise` it uses.
        macs_per_pixel: its multiply-accumulates per output pixel; None where they can't be counted.
    """

    @property
    def frames(self) -> int: ...

    @property
    def recurrent(self) -> bool: ...

    @property
    def inputs(self) -> Sequence[str]: ...

    @property
    def macs_per_pixel(self) -> float | None: ...

    def start(self) -> Stream:
        """A stream of frames in order, that begins without any past."""

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """Develops the newest frame of a window; what is recurrent, as the end of a stream of these frames.

        Args:
            raw: (T, 4, h, w) noisy packed RGGB, oldest first, linear in [0, 1], before white balance.
            gains: (3,) R, G, B.
            ccm: (3, 3) camera to linear sRGB.
            noise: (2,) shot and read variance.

        Returns:
            sRGB (3, 2h, 2w) float32 in [0, 1].
        """


class OnnxPrototype:
    """A prototype from an ONNX graph that obeys the model contract."""

    def __init__(self, network: OnnxNetwork, macs_per_pixel: float) -> None:
        self._network = network
        self.frames: int = network.contract.frames
        self.recurrent: bool = network.contract.recurrent
        self.inputs: tuple[str, ...] = network.contract.inputs
        self.macs_per_pixel: float | None = macs_per_pixel

    def start(self) -> OnnxStream:
        """See `Prototype.start`."""
        return self._network.start()

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """See `Prototype.run`."""
        return self._network.run(raw, gains, ccm, noise)


def load_prototype(name: str, onnx_bytes: bytes | None = None, threads: int = 1) -> Prototype:
    """Loads a prototype.

    Args:
        name: `builtin:classical` or `onnx:FILE`; the file's name is for messages only.
        onnx_bytes: the file's content, for `onnx:`.
        threads: threads it may use.

    Raises:
        InvalidArgumentError: for an unknown name, or an ONNX graph that does not obey the model contract.
    """
    if name.startswith(_ONNX):
        if not onnx_bytes:
            raise InvalidArgumentError("prototype", f"'{name}' came without the file's content: upload it")
        network = load_session(onnx_bytes, threads, field="prototype")
        return OnnxPrototype(network, count_cost(onnx_bytes, field="prototype").macs_per_pixel)
    builtin = _BUILTINS.get(name.removeprefix(_BUILTIN)) if name.startswith(_BUILTIN) else None
    if builtin is None:
        known = ", ".join(_BUILTIN + key for key in _BUILTINS)
        raise InvalidArgumentError("prototype", f"'{name}' is no prototype: use {known} or onnx:FILE")
    return builtin(threads)


def sensor_for(prototype: Prototype, sensor: SensorProfile) -> SensorProfile:
    """The sensor that a search with this prototype works on.

    A prototype without a `ccm` input can't be told the colour matrix. So that colour decides nothing between
    it and the networks, data, prototype and networks then all take the camera's colours for linear sRGB.
    """
    return sensor if "ccm" in prototype.inputs else sensor.with_identity_ccm()

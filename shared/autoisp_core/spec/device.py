"""What a network costs on a named device, from its arithmetic and its traffic alone: the roofline."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from autoisp_core.errors import InvalidArgumentError

_PIXELS = 1e6
_FLOAT32_BYTES = 4
_WRITTEN_AND_READ = 2
_MACS_PER_OPERATION = 0.5
"""TOPS count a multiplication and an addition as two operations."""

_NPU_USE = 0.3
"""Share of its peak that an NPU reaches on pixel-level networks."""
_MEMORY_SHARE = 0.5
"""Share of a phone's memory bandwidth that the camera's network gets."""

VIDEO_4K30_MEGAPIXELS = 3840 * 2160 * 30 / _PIXELS
"""Megapixels a second."""


class PixelCost(Protocol):
    """What a roofline asks of a cost: `autoisp_core.spec.Cost` has it, and what is counted of a file too."""

    @property
    def macs_per_pixel(self) -> float: ...

    @property
    def bytes_per_pixel(self) -> float: ...

    @property
    def fusible_bytes_per_pixel(self) -> float: ...

    @property
    def state_bytes_per_pixel(self) -> float: ...


class Bound(StrEnum):
    """What limits a network on a device."""

    ARITHMETIC = "arithmetic"
    TRAFFIC = "traffic"


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """A device's sustained rates.

    Attributes:
        name: for people and command lines.
        macs_per_second: multiply-accumulates that it does where nothing else holds it up.
        bytes_per_second: of memory.
        bytes_per_value: of a feature map's values; 2 for 16 bit: with 8, raw loses its shadows.
    """

    name: str
    macs_per_second: float
    bytes_per_second: float
    bytes_per_value: int = 2


@dataclass(frozen=True, slots=True)
class Roofline:
    """The least time a network takes on a device whose feature maps go to memory and back.

    Elementwise steps are fused into the operator before, as every compiler for phones does; nothing else
    stays on chip.

    Attributes:
        arithmetic: seconds per output megapixel that the multiply-accumulates take.
        traffic: seconds per output megapixel that the feature maps and the recurrent state take.
    """

    arithmetic: float
    traffic: float

    @property
    def seconds_per_megapixel(self) -> float:
        """The longer of both: the device does them at the same time."""
        return max(self.arithmetic, self.traffic)

    @property
    def bound(self) -> Bound:
        """Which of both it is."""
        return Bound.ARITHMETIC if self.arithmetic >= self.traffic else Bound.TRAFFIC

    @property
    def frames_per_second_4k(self) -> float:
        """The most frames of 3840 × 2160 a second; infinite for what costs nothing."""
        seconds = self.seconds_per_megapixel * VIDEO_4K30_MEGAPIXELS / 30
        return 1 / seconds if seconds > 0 else float("inf")

    @property
    def fits_4k30(self) -> bool:
        """Whether the device keeps up with 3840 × 2160 at 30 frames a second."""
        return self.seconds_per_megapixel * VIDEO_4K30_MEGAPIXELS <= 1


def roofline(cost: PixelCost, device: DeviceProfile) -> Roofline:
    """What a network of that cost takes on the device at least.

    Every value of a feature map is written once and read once; recurrent state is read once more, by the
    next frame.
    """
    maps = cost.bytes_per_pixel - cost.fusible_bytes_per_pixel
    values = (_WRITTEN_AND_READ * maps + cost.state_bytes_per_pixel) / _FLOAT32_BYTES
    return Roofline(
        arithmetic=_PIXELS * cost.macs_per_pixel / device.macs_per_second,
        traffic=_PIXELS * values * device.bytes_per_value / device.bytes_per_second,
    )


def _phone(tops: int, gigabytes_per_second: float) -> DeviceProfile:
    return DeviceProfile(
        f"phone-npu-{tops}",
        macs_per_second=tops * 1e12 * _MACS_PER_OPERATION * _NPU_USE,
        bytes_per_second=gigabytes_per_second * 1e9 * _MEMORY_SHARE,
    )


DEVICES = {
    device.name: device
    for device in (
        _phone(4, 34.1),  # 64 bit of LPDDR4X-4266
        _phone(10, 51.2),  # 64 bit of LPDDR5-6400
        _phone(20, 68.3),  # 64 bit of LPDDR5X-8533
    )
}
"""Profiles by name. Phones' NPUs of 4, 10 and 20 int8 TOPS with the memory of their time."""


def device_named(name: str) -> DeviceProfile:
    """The profile of that name.

    Raises:
        InvalidArgumentError: there is none; the message lists those there are.
    """
    try:
        return DEVICES[name]
    except KeyError:
        raise InvalidArgumentError(
            "device", f"there is no device profile {name!r}; use {', '.join(DEVICES)}"
        ) from None

"""``sidecar.json``: what a dump of raw values does not say of itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.sections import Section, numbers
from autoisp_core.sensor import CFA_TILES, IDENTITY_CCM, MAX_NAME, SensorProfile

from autoisp_ingest.decoding.raw_packing import PACKINGS, Packing
from autoisp_ingest.domain.media import SIDECAR

MAX_SIDECAR_BYTES = 64 * 1024
_MAX_STRIDE = 1 << 20
_MAX_RATE = 1e6
_ABSENT = object()


@dataclass(frozen=True)
class Sidecar:
    """Checked: a clip can be made of it.

    Args:
        format: of the clip.
        packing: of the values in the files.
        row_stride: bytes from one row to the next.
        frames: how many there should be; 0 if it does not say.
        frame_rate: frames per second; 0 if it does not say.
        sensor: of the camera.
    """

    format: FrameFormat
    packing: Packing
    row_stride: int
    frames: int
    frame_rate: float
    sensor: SensorProfile

    @property
    def frame_bytes(self) -> int:
        """Of one frame in the files, the rows' padding included."""
        return self.row_stride * self.format.stored_height


def parse_sidecar(data: bytes, camera: str) -> Sidecar:
    """Read and check the sidecar.

    Args:
        data: its bytes.
        camera: what to call the sensor if the sidecar does not; may be longer than such a name.

    Raises:
        InvalidArgumentError: no JSON, or a missing, unknown or wrong key; names it (``sidecar.packing``).
    """
    top = Section("sidecar", _parsed(data))
    packing = PACKINGS[_choice(top, "packing", tuple(PACKINGS))]
    width, height = _whole(top, "width", 1, 1 << 20), _whole(top, "height", 1, 1 << 20)
    low, high = packing.bit_depths[0], packing.bit_depths[-1]
    bit_depth = _whole(top, "bit_depth", low, high)
    cfa = _choice(top, "cfa", CFA_TILES)
    needed = packing.row_bytes(width)
    row_stride = _whole(top, "row_stride", needed, max(needed, _MAX_STRIDE), needed)
    frames = _whole(top, "frames", 1, 1 << 31, 0)
    frame_rate = top.number("frame_rate", 0.0)
    if not 0.0 <= frame_rate <= _MAX_RATE:
        raise _wrong("frame_rate", f"is {frame_rate}: give frames per second, 0 if they are unknown")
    white_level = top.number("white_level")
    if white_level > (1 << bit_depth) - 1:
        raise _wrong("white_level", f"is {white_level}: {bit_depth} bits hold at most {(1 << bit_depth) - 1}")
    sensor = _sensor(top, cfa, white_level, camera)
    top.close()
    frame_format = FrameFormat(FrameKind.BAYER, bit_depth, width, height, cfa=cfa)
    return Sidecar(frame_format, packing, row_stride, frames, frame_rate, sensor)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:  # also what is no UTF-8
        raise InvalidArgumentError("sidecar", f"{SIDECAR} is no JSON: {error}") from error


def _sensor(top: Section, cfa: str, white_level: float, camera: str) -> SensorProfile:
    red, green, blue = numbers("sidecar.gains", top.take("gains", [1.0, 1.0, 1.0]), 3)
    noise = top.take("noise", None)
    data: dict[str, Any] = {
        "name": top.text("camera", camera[:MAX_NAME]),
        "cfa": cfa,
        "black_level": top.number("black_level"),
        "white_level": white_level,
        "gains": {"red": red, "green": green, "blue": blue},
        "ccm": top.take("ccm", [list(row) for row in IDENTITY_CCM]),
    }
    if noise is not None:
        shot = Section("sidecar.noise", noise)
        data["noise"] = {"test": {"shot": shot.number("shot"), "read": shot.number("read")}}
        shot.close()
    try:
        return SensorProfile.from_dict(data)
    except InvalidArgumentError as error:
        # Its fields are a profile's: "sensor.ccm[1]", and "noise.shot" of a variance.
        path = error.field.removeprefix("sensor.").replace("name", "camera")
        raise InvalidArgumentError(f"sidecar.{path}", f"{path} of {SIDECAR}: {error}") from error


def _whole(top: Section, key: str, low: int, high: int, default: int | None = None) -> int:
    value = top.take(key) if default is None else top.take(key, _ABSENT)
    if value is _ABSENT and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(key, f"is {value!r}: give a whole number from {low} to {high}")
    return value


def _choice(top: Section, key: str, allowed: tuple[str, ...]) -> str:
    value = top.text(key)
    if value not in allowed:
        raise _wrong(key, f"is {value!r}: give one of {', '.join(allowed)}")
    return value


def _wrong(key: str, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"sidecar.{key}", f"{key} of {SIDECAR} {what}")

"""How a clip's frames are stored: as the source's decoder gave them, so that nothing is lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from math import prod
from typing import Any

from autoisp_core.errors import InvalidArgumentError, OutOfRangeError
from autoisp_core.sensor import CFA_TILES

MATRICES = ("bt601", "bt709", "bt2020")
ROTATIONS = (0, 90, 180, 270)
CHROMA_LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")
TIMES = "time_ns"
"""Name of the array (T,) int64 with each frame's time since the first, in nanoseconds."""


class FrameKind(StrEnum):
    """What the stored planes are."""

    RGB = "rgb"
    """``frames`` (T, H, W, 3): R, G, B."""
    YUV = "yuv"
    """``y`` (T, H, W), ``u`` and ``v`` (T, ⌈H / v_step⌉, ⌈W / h_step⌉)."""
    GRAY = "gray"
    """``frames`` (T, H, W): luminance."""
    BAYER = "bayer"
    """``frames`` (T, H, W): the sensor's mosaic, black level not subtracted."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """The stored frames of one clip.

    Attributes:
        kind: what the planes are.
        bit_depth: significant bits of a value, in the low bits: 8 in uint8 arrays, 9 to 16 in uint16 arrays.
        stored_width, stored_height: pixels, before turning, odd ones included.
        h_step, v_step: YUV: luminance pixels per chrominance pixel along a row and a column, 1 or 2; else 1.
        matrix: YUV: one of ``MATRICES``; else empty.
        full_range: values use all their bits; else video range (16 to 235 of 8 bits).
        rotation: degrees clockwise that turn the stored frames upright.
        cfa: BAYER: row-major 2×2 tile of the stored frames; else empty.
        chroma_location: YUV with a step of 2: where a chrominance pixel lies among its luminance pixels, one
            of ``CHROMA_LOCATIONS``; empty means "left". Else empty.

    Raises:
        InvalidArgumentError: names the key that is wrong, and what to write instead.
    """

    kind: FrameKind
    bit_depth: int
    stored_width: int
    stored_height: int
    h_step: int = 1
    v_step: int = 1
    matrix: str = ""
    full_range: bool = True
    rotation: int = 0
    cfa: str = ""
    chroma_location: str = ""

    def __post_init__(self) -> None:
        yuv, bayer = self.kind is FrameKind.YUV, self.kind is FrameKind.BAYER
        for key, holds, allowed in (
            ("bit_depth", 8 <= self.bit_depth <= 16, "8 to 16"),
            ("stored_width", self.stored_width > 0, "1 or more"),
            ("stored_height", self.stored_height > 0, "1 or more"),
            ("h_step", self.h_step in ((1, 2) if yuv else (1,)), "1, or 2 for YUV"),
            ("v_step", self.v_step in ((1, 2) if yuv else (1,)), "1, or 2 for YUV"),
            ("matrix", self.matrix in (MATRICES if yuv else ("",)), f"one of {MATRICES} for YUV, else empty"),
            ("rotation", self.rotation in ROTATIONS, f"one of {ROTATIONS}"),
            (
                "chroma_location",
                self.chroma_location in ("", *(CHROMA_LOCATIONS if self.h_step * self.v_step > 1 else ())),
                f"one of {CHROMA_LOCATIONS} for YUV with a step of 2, else empty",
            ),
            ("cfa", self.cfa in (CFA_TILES if bayer else ("",)), f"one of {CFA_TILES} for BAYER, else empty"),
        ):
            if not holds:
                raise InvalidArgumentError(
                    f"format.{key}", f"{key} is {getattr(self, key)!r} in {self.kind} frames: give {allowed}"
                )

    @property
    def dtype(self) -> str:
        """NumPy's name for the type of the stored values."""
        return "uint8" if self.bit_depth == 8 else "uint16"

    def planes(self) -> dict[str, tuple[int, ...]]:
        """The shape of one frame in each array, by the array's name, in the order of storage."""
        whole = (self.stored_height, self.stored_width)
        if self.kind is FrameKind.YUV:
            half = (-(-self.stored_height // self.v_step), -(-self.stored_width // self.h_step))
            return {"y": whole, "u": half, "v": half}
        return {"frames": (*whole, 3) if self.kind is FrameKind.RGB else whole}

    @property
    def frame_bytes(self) -> int:
        """Of one frame's planes."""
        values = sum(prod(shape) for shape in self.planes().values())
        return values if self.bit_depth == 8 else 2 * values

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the upright picture, without an odd last column or row: a Bayer tile is 2×2."""
        turned = self.rotation in (90, 270)
        width, height = (
            (self.stored_height, self.stored_width) if turned else (self.stored_width, self.stored_height)
        )
        return width - width % 2, height - height % 2

    @property
    def developed_box(self) -> Box:
        """The stored pixels that a picture developed from a frame shows: whole tiles, a mosaic from its first
        red pixel on.

        >>> FrameFormat(FrameKind.BAYER, 10, 64, 64, cfa="BGGR").developed_box
        Box(x=1, y=1, width=62, height=62)
        """
        row, column = divmod(self.cfa.index("R"), 2) if self.cfa else (0, 0)
        width, height = self.stored_width - column, self.stored_height - row
        return Box(column, row, width - width % 2, height - height % 2)

    def to_dict(self) -> dict[str, Any]:
        """As JSON and Zarr attributes hold it."""
        return asdict(self) | {"kind": self.kind.value}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FrameFormat:
        """Reads what :meth:`to_dict` wrote.

        Raises:
            InvalidArgumentError: a missing, unknown or wrong key.
        """
        names = {field.name for field in fields(cls)}
        if (
            not isinstance(data, dict)
            or not {"kind", "bit_depth", "stored_width", "stored_height"} <= set(data) <= names
        ):
            raise InvalidArgumentError("format", f"a frame format has the keys {', '.join(sorted(names))}")
        if data["kind"] not in list(FrameKind):
            raise InvalidArgumentError(
                "format.kind", f"kind is {data['kind']!r}: give {', '.join(FrameKind)}"
            )
        return cls(**data | {"kind": FrameKind(data["kind"])})


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels: ``width`` × ``height`` from column ``x`` and row ``y`` on."""

    x: int
    y: int
    width: int
    height: int

    def check(self, picture_width: int, picture_height: int, x_step: int = 1, y_step: int = 1) -> None:
        """Check that the box is inside of a picture, its corners on multiples of the steps.

        The picture's own right and lower edge need not be multiples.

        Raises:
            InvalidArgumentError: no pixel in it, or not on a multiple of a step.
            OutOfRangeError: it reaches out of the picture.
        """
        for axis, side, first, length, whole, step in (
            ("x", "width", self.x, self.width, picture_width, x_step),
            ("y", "height", self.y, self.height, picture_height, y_step),
        ):
            if length < 1:
                raise InvalidArgumentError(f"box.{side}", f"{side} is {length}: give 1 or more pixels")
            if first < 0 or first + length > whole:
                raise OutOfRangeError(
                    f"box.{axis}: [{first}, {first + length}) is outside of the picture, whose {side} is "
                    f"{whole}",
                    metadata={"field": f"box.{axis}"},
                )
            if first % step or ((first + length) % step and first + length != whole):
                raise InvalidArgumentError(
                    f"box.{axis}",
                    f"[{first}, {first + length}) of the stored frames: begin and end at multiples of {step}",
                )

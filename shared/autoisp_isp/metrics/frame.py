"""One frame with what several metrics need of it, each computed at most once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from autoisp_isp.metrics.colour import lab_of
from autoisp_isp.metrics.motion import Flow, Grey8, Motion, flow_between
from autoisp_isp.metrics.picture import Picture, Pixels, Plane, grey8_of, luma_of, pixels_of
from autoisp_isp.metrics.structure import similarity


@dataclass(frozen=True, slots=True)
class Shown:
    """What the next frame needs of a picture or a truth.

    Attributes:
        pixels: (H, W, 3) sRGB.
        luma: (H, W).
        grey: the luma in 8 bits.
    """

    pixels: Pixels
    luma: Plane
    grey: Grey8

    @classmethod
    def of(cls, picture: Picture) -> Shown:
        """From a picture (3, H, W)."""
        pixels = pixels_of(picture)
        luma = luma_of(pixels)
        return cls(pixels, luma, grey8_of(luma))


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame as the next one remembers it."""

    picture: Shown
    truth: Shown | None


class Frame:
    """A picture, its truth if there is one, and the frame before if there is one.

    Args:
        picture, truth: (3, H, W) sRGB of one size.
        past: the frame before.
    """

    def __init__(self, picture: Picture, truth: Picture | None, past: Seen | None) -> None:
        self.planar, self._truth, self.past = picture, truth, past

    @property
    def true_planar(self) -> Picture:
        """The truth as it came; of a frame that has one."""
        assert self._truth is not None
        return self._truth

    @cached_property
    def seen(self) -> Seen:
        """What the next frame needs of this one."""
        return Seen(self.picture, None if self._truth is None else self.truth)

    @cached_property
    def picture(self) -> Shown:
        return Shown.of(self.planar)

    @cached_property
    def truth(self) -> Shown:
        return Shown.of(self.true_planar)

    @cached_property
    def similarity(self) -> tuple[float, float]:
        """SSIM, and its contrast and structure terms alone."""
        return similarity(self.picture.pixels, self.truth.pixels)

    @cached_property
    def labs(self) -> tuple[Pixels, Pixels]:
        """L*a*b* of picture and truth."""
        return lab_of(self.picture.pixels), lab_of(self.truth.pixels)

    @cached_property
    def true_past(self) -> Shown | None:
        """The truth of the frame before, if both frames have one."""
        return None if self.past is None or self._truth is None else self.past.truth

    @cached_property
    def motion(self) -> Motion | None:
        """Of the truth if both frames have one, else of the picture; None if this is the first frame."""
        if self.past is None:
            return None
        if self.true_past is not None:
            return Motion(self.truth.grey, self.true_past.grey)
        return Motion(self.picture.grey, self.past.picture.grey)

    @cached_property
    def picture_flow(self) -> Flow:
        """Flow of the picture itself to the one before."""
        assert self.past is not None
        return flow_between(self.picture.grey, self.past.picture.grey)

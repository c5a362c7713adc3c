"""Frames cut into small blocks, of each of which mean, noise variance and structure are taken.

A block is 8×8 values of one colour of the mosaic. In an orthonormal basis of polynomials, white noise has the
same variance in every one of the 64 coefficients, whatever the basis. Those of brightness and slope are left
out: a shaded wall is as good as a flat one. Those of the degrees 2 and 3 tell whether there is structure,
since that of pictures is strongest in what varies slowly. The other 54 give the noise; they are independent
of the 7 before, so choosing blocks by these biases nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

SIDE = 8
"""Values of one colour along a block's sides."""

Floats: TypeAlias = NDArray[np.float32]
Codes: TypeAlias = NDArray[np.integer[Any]]
N = TypeVar("N", bound=np.generic)


def _polynomials() -> Floats:
    """(degree, place): orthonormal, from the constant up."""
    places = np.linspace(-1.0, 1.0, SIDE)
    basis, _ = np.linalg.qr(np.vander(places, increasing=True))
    return np.ascontiguousarray(basis.T, dtype=np.float32)


_BASIS = _polynomials()
_DEGREES = np.add.outer(np.arange(SIDE), np.arange(SIDE)).reshape(-1)
_STRUCTURE = np.flatnonzero((_DEGREES == 2) | (_DEGREES == 3))
_NOISE = np.flatnonzero(_DEGREES > 3)
STRUCTURE_DEGREES = len(_STRUCTURE)
NOISE_DEGREES = len(_NOISE)


@dataclass(frozen=True)
class Blocks:
    """What was measured in every block of one frame, or of one pair; in [0, 1] from black to white level.

    All are (4, rows, columns): the colours of the mosaic's tile in row-major order, and where the block is.

    Attributes:
        means: mean.
        lows, highs: the darkest and the brightest place of the block, noise smoothed.
        clipped: how many of its values are code 0, or white.
        variances: of the noise, from ``NOISE_DEGREES`` independent values.
        structures: mean square of the ``STRUCTURE_DEGREES`` slowly varying coefficients; where there is
            nothing but noise, an estimate of the same variance.
    """

    means: Floats
    lows: Floats
    highs: Floats
    clipped: NDArray[np.uint8]
    variances: Floats
    structures: Floats


def within_frame(mosaic: Codes, black_level: float, white_level: float) -> Blocks:
    """The blocks of one frame, whose variances are those between neighbouring places.

    Args:
        mosaic: (height, width) code values, both at least 16.
    """
    measured = []
    for codes in _planes(mosaic):
        levels = _linear(codes, black_level, white_level)
        measured.append(_measure(levels, levels, _clipped(codes, white_level)))
    return _stacked(measured)


def between_frames(first: Codes, second: Codes, black_level: float, white_level: float) -> Blocks:
    """The blocks of two frames, whose variances are half those of the differences: what stands still cancels.

    Args:
        first, second: (height, width) code values of neighbouring frames, both at least 16.
    """
    measured = []
    for codes in zip(_planes(first), _planes(second), strict=True):
        one, two = (_linear(plane, black_level, white_level) for plane in codes)
        clipped = _clipped(codes[0], white_level) + _clipped(codes[1], white_level)
        middle, difference = (one + two) * np.float32(0.5), (two - one) * np.float32(np.sqrt(0.5))
        measured.append(_measure(middle, difference, clipped))
    return _stacked(measured)


def _planes(mosaic: Codes) -> Iterator[Codes]:
    """The four colours of the mosaic, cut to whole blocks; one after the other, since frames are large."""
    height, width = (side // (2 * SIDE) * 2 * SIDE for side in mosaic.shape)
    return (mosaic[row:height:2, column:width:2] for row in (0, 1) for column in (0, 1))


def _stacked(colours: list[Blocks]) -> Blocks:
    names = [field.name for field in fields(Blocks)]
    return Blocks(**{name: np.stack([getattr(colour, name) for colour in colours]) for name in names})


def _linear(codes: Codes, black_level: float, white_level: float) -> Floats:
    scale = np.float32(1.0 / (white_level - black_level))
    return (codes.astype(np.float32) - np.float32(black_level)) * scale


def _clipped(codes: Codes, white_level: float) -> NDArray[np.uint8]:
    ends = _tiles((codes <= 0) | (codes >= white_level))
    count: NDArray[np.uint8] = ends.sum(axis=(-2, -1), dtype=np.uint8)
    return count


def _measure(levels: Floats, residue: Floats, clipped: NDArray[np.uint8]) -> Blocks:
    """Mean, darkest and brightest of ``levels``, noise and structure of ``residue``; both of one colour."""
    places, smooth = _tiles(levels), _tiles(_smoothed(levels))
    coefficients = _BASIS @ _tiles(residue) @ _BASIS.T
    coefficients = coefficients.reshape(*coefficients.shape[:2], SIDE * SIDE)
    np.square(coefficients, out=coefficients)
    return Blocks(
        means=places.mean(axis=(-2, -1)),
        lows=smooth.min(axis=(-2, -1)),
        highs=smooth.max(axis=(-2, -1)),
        clipped=clipped,
        variances=coefficients[..., _NOISE].mean(axis=-1),
        structures=coefficients[..., _STRUCTURE].mean(axis=-1),
    )


def _tiles(plane: NDArray[N]) -> NDArray[N]:
    """(rows, columns, SIDE, SIDE)"""
    rows, columns = (side // SIDE for side in plane.shape)
    tiles = plane.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
    return np.ascontiguousarray(tiles)


def _smoothed(plane: Floats) -> Floats:
    """The mean of 3×3 values around each."""
    wide = np.pad(plane, 1, mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    smoothed: Floats = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return smoothed

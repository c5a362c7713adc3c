"""From blocks to a photon transfer curve: which blocks are nothing but noise, and the line through those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoisp_ingest.sensor_profiles.photon_transfer.blocks import (
    NOISE_DEGREES,
    STRUCTURE_DEGREES,
    Blocks,
    Floats,
)
from autoisp_ingest.sensor_profiles.photon_transfer.chi_square import quantile, truncated_mean
from autoisp_ingest.sensor_profiles.photon_transfer.line import Doubles, Line, Points, fit_line

MOST_POINTS = 64
FEWEST_BLOCKS = 24
"""In one point of the curve."""
_FEWEST_POINTS = 6
"""Fewer may lie on any line by chance."""
_ROUNDS = 12
_SETTLED = 1e-4
_FIRST_SHARE = 0.1
"""Of a point's blocks, how many are taken for pure noise to begin with."""
_CLIP = 3.0
"""Standard deviations of noise that a block must keep from black's and white's clipping."""
_MOST_CLIPPED = 1
"""Values of a block: noise alone clips one now and then, and to refuse those would cut off its tails."""
_LOW, _HIGH = (quantile(share, NOISE_DEGREES) for share in (0.00135, 0.99865))
# All four colours of a place, and of the 3×3 places around it.
_HERE_LIMIT = quantile(0.98, 4 * STRUCTURE_DEGREES)
_AROUND_LIMIT = quantile(0.98, 36 * STRUCTURE_DEGREES)
_TRUNCATION = truncated_mean(_LOW, _HIGH, NOISE_DEGREES)


@dataclass(frozen=True)
class Curve:
    """The measured points and the line through them.

    Attributes:
        blocks: (p,) how many blocks each point rests on.
    """

    points: Points
    line: Line
    blocks: NDArray[np.int64]


def measure(parts: Sequence[Blocks], lowest: float, highest: float = 1.0) -> Curve | None:
    """The curve of those blocks that show noise and nothing else; None if they are too few for a line.

    Args:
        parts: frames or pairs from one camera at one ISO.
        lowest, highest: where values clip, in [0, 1] from black to white; code 0 is below 0.
    """
    means = np.concatenate([part.means.ravel() for part in parts])
    variances = np.concatenate([part.variances.ravel() for part in parts])
    guess, curve = _first_guess(means, variances), None
    for _ in range(_ROUNDS):
        if guess is None:
            return None
        chosen = np.concatenate([_chosen(part, guess, lowest, highest).ravel() for part in parts])
        curve = _curve(means[chosen], variances[chosen])
        if curve is None:
            return None
        before, guess = guess, curve.line
        if _settled(before, guess):
            break
    return curve


def _first_guess(means: Floats, variances: Floats) -> Line | None:
    """From the lowest variances at each brightness: whatever moves or has detail has higher ones."""
    groups = _groups(means)
    if len(groups) < _FEWEST_POINTS:
        return None
    scale = quantile(_FIRST_SHARE, NOISE_DEGREES)
    lowest = [np.quantile(variances[group], _FIRST_SHARE) / scale for group in groups]
    centres = np.array([means[group].mean(dtype=np.float64) for group in groups])
    degrees = np.array([len(group) for group in groups], dtype=np.float64)
    return fit_line(Points(centres, np.array(lowest, dtype=np.float64), degrees))


def _chosen(blocks: Blocks, line: Line, lowest: float, highest: float) -> NDArray[np.bool_]:
    """Which blocks keep away from clipping, have no structure in or around them, and the usual noise."""
    low, high = blocks.lows.astype(np.float64), blocks.highs.astype(np.float64)
    noise = line.at(blocks.means.astype(np.float64))
    ratio = blocks.variances / noise
    # What moves or has detail has it in all colours, and reaches beyond one block.
    here = (blocks.structures / noise).mean(axis=0)
    chosen: NDArray[np.bool_] = (
        (low - _CLIP * np.sqrt(line.at(low)) >= lowest)
        & (high + _CLIP * np.sqrt(line.at(high)) <= highest)
        & (blocks.clipped <= _MOST_CLIPPED)
        & (here < _HERE_LIMIT)
        & (_around(here) < _AROUND_LIMIT)
        & (ratio > _LOW)
        & (ratio < _HIGH)
    )
    return chosen


def _around(places: Doubles) -> Doubles:
    """The mean of 3×3 values around each; (rows, columns)."""
    wide = np.pad(places, 1, mode="edge")
    rows = wide[:-2] + wide[1:-1] + wide[2:]
    mean: Doubles = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9
    return mean


def _curve(means: Floats, variances: Floats) -> Curve | None:
    groups = _groups(means)
    if len(groups) < _FEWEST_POINTS:
        return None
    counts = np.array([len(group) for group in groups], dtype=np.int64)
    points = Points(
        means=np.array([means[group].mean(dtype=np.float64) for group in groups]),
        variances=np.array([variances[group].mean(dtype=np.float64) for group in groups]) / _TRUNCATION,
        degrees=counts.astype(np.float64) * NOISE_DEGREES,
    )
    return Curve(points, fit_line(points), counts)


def _groups(means: Floats) -> list[NDArray[np.intp]]:
    """Indices of the blocks of each point, dark to bright.

    Even steps of the square root of brightness: noise changes most where it is dark, and so do pictures. A
    point waits for enough blocks before the next begins.
    """
    if len(means) < FEWEST_BLOCKS:
        return []
    order = np.argsort(means, kind="stable")
    roots = np.sqrt(np.maximum(means[order], 0.0))
    edges = np.linspace(roots[0], roots[-1], MOST_POINTS + 1)[1:-1]
    groups, begin = [], 0
    for end in [*np.searchsorted(roots, edges), len(order)]:
        if end - begin >= FEWEST_BLOCKS:
            groups.append(order[begin:end])
            begin = end
    return groups


def _settled(before: Line, after: Line) -> bool:
    scale = after.shot + after.read
    return abs(before.shot - after.shot) + abs(before.read - after.read) <= _SETTLED * scale

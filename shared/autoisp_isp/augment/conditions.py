"""Camera operations: what each does to the conditions under which a patch is filmed, as plain numbers.

Operations of one patch add up here, and limits hold for the sum, before any pixel is touched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autoisp_isp.augment.choices import NOBODY, Choices

Values = npt.NDArray[np.float32]


class _Range(NamedTuple):
    """What an operation adds to at severity 1, which also limits two of it together; and whether it has two
    ways."""

    field: str
    most: float
    signed: bool = False


_RANGES = {
    "shot_noise": _Range("shot", 2.0),
    "read_noise": _Range("read", 2.0),
    "gain": _Range("gain", 1.5, signed=True),
    "white_balance": _Range("balance", float(np.log(1.3)), signed=True),
    "ccm": _Range("matrix", 0.5, signed=True),
    "hot_pixels": _Range("hot", 0.002),
    "row_noise": _Range("rows", 1.0),
    "flicker": _Range("flicker", 0.4),
    "shake": _Range("shake", 6.0),
    "pan": _Range("pan", 8.0),
}
FLIP = "flip"
"""Has no severity: whoever wants to leave a patch as it is can choose it."""
_NEED_FRAMES = ("flicker", "shake", "pan")
_NEED_MATRIX = ("ccm",)

_LOAD_STOPS = 2.5
"""Most of noise and gain together: with both at the top there would be nothing left to learn from."""


@dataclass
class Conditions:
    """Conditions of N patches, all zeros where nothing is done. NumPy arrays.

    Attributes:
        shot, read: (N,) stops (factors of 2) on the noise variances. Told.
        gain: (N,) stops of digital gain, on raw that is exposed that much darker. Told.
        balance: (N,) natural logarithm on the red gain and off the blue one, with raw to match. Told.
        matrix: (N,) how far the camera's colours are from those of the profile: the share of the way from its
            matrix to the identity, negative beyond the matrix. Told.
        hot: (N,) share of the pixels that are stuck too bright. Not told.
        rows: (N,) deviation of each row's offset, in deviations of the read noise. Not told.
        flicker: (N,) stops by which older frames are brighter or darker at most. Not told.
        shake: (N,) pixels that older frames are displaced by at most. Not told.
        pan: (N, 2) pixels per frame, down and right. Not told.
        flips: (N, 2) bool, of rows and of columns.
        seeds: (N,) of what is drawn pixel by pixel or frame by frame.
    """

    shot: Values
    read: Values
    gain: Values
    balance: Values
    matrix: Values
    hot: Values
    rows: Values
    flicker: Values
    shake: Values
    pan: Values
    flips: npt.NDArray[np.bool_]
    seeds: npt.NDArray[np.int64]

    @classmethod
    def neutral(cls, seeds: npt.NDArray[np.int64]) -> Conditions:
        """Those of N patches to which nothing is done."""
        size = len(seeds)
        shot, read, gain, balance, matrix, hot, rows, flicker, shake = np.zeros((9, size), np.float32)
        pan, flips = np.zeros((size, 2), np.float32), np.zeros((size, 2), np.bool_)
        return cls(shot, read, gain, balance, matrix, hot, rows, flicker, shake, pan, flips, seeds)

    @classmethod
    def of(cls, choices: Choices, operations: tuple[str, ...]) -> Conditions:
        """What the chosen operations of each patch come to, within the limits.

        Args:
            choices: of N patches.
            operations: names by number, as `camera_operations` gave them to whoever chose.
        """
        conditions = cls.neutral(choices.seeds)
        # One by one: for a batch's few patches this is faster than NumPy on whole columns.
        for patch in np.flatnonzero(choices.policies != NOBODY).tolist():
            for slot, number in enumerate(choices.operations[patch].tolist()):
                conditions._add(operations[number], choices, patch, slot)
        conditions._limit()
        return conditions

    def _add(self, name: str, choices: Choices, patch: int, slot: int) -> None:
        place, other = choices.places[patch, slot].tolist()
        if name == FLIP:
            self.flips[patch] ^= (place < 0.5, other < 0.5)
            return
        field, most, signed = _RANGES[name]
        amount = most * float(choices.severities[patch, slot])
        if name == "pan":
            angle = 2.0 * math.pi * place
            self.pan[patch] += (amount * math.sin(angle), amount * math.cos(angle))
        else:
            getattr(self, field)[patch] += amount * float(choices.signs[patch, slot]) if signed else amount

    def _limit(self) -> None:
        for field, most, _ in _RANGES.values():
            values = getattr(self, field)
            np.minimum(np.maximum(values, -most, out=values), most, out=values)
        room = _LOAD_STOPS - np.maximum(self.gain, 0.0)
        for values in (self.shot, self.read):
            np.minimum(values, room, out=values)


def camera_operations(*, frames: int, identity: bool) -> tuple[str, ...]:
    """Names of the operations that can change something.

    Args:
        frames: of a patch: with one there is no motion and no flicker.
        identity: whether the sensor's colour matrix is the identity: then there is nothing to mix, and
            whoever uses the network will never tell it of another.
    """
    void = (*(_NEED_FRAMES if frames == 1 else ()), *(_NEED_MATRIX if identity else ()))
    return tuple(name for name in (*_RANGES, FLIP) if name not in void)

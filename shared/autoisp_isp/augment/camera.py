"""Conditions of filming applied to the patches of a batch, each at its place in the camera.

Scene, motion and flips come before the mosaic, on full-colour frames; gains, colour matrix and noise are the
sensor's own; defects come after its noise. So nothing can move a pixel to another colour of the filter, and
the truth stays what the picture should be: that of the newest frame, through the gains and the matrix that
the network is told.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from autoisp_isp.augment.conditions import Conditions
from autoisp_isp.sensor_draws import DrawnSensors

_HOT_LEVELS = (0.2, 1.0)
"""What a stuck pixel adds, between these."""
_SHIFTS, _FLICKER, _DEFECTS = range(3)


def shifts_of(conditions: Conditions, frames: int) -> npt.NDArray[np.int64] | None:
    """Where the window on the scene is in each frame, (N, frames, 2) pixels down and right; 0 in the newest.

    None: it moves in no patch.
    """
    if not (conditions.pan.any() or conditions.shake.any()):
        return None
    source = _source(conditions, _SHIFTS)
    ages = np.arange(frames - 1, -1, -1, dtype=np.float32)
    shaken = source.uniform(-1.0, 1.0, (len(conditions.shake), frames, 2)) * conditions.shake[:, None, None]
    moved = -ages[:, None] * conditions.pan[:, None] + shaken * (ages[:, None] > 0)
    return np.rint(moved).astype(np.int64)


def flipped(linear: Tensor, conditions: Conditions) -> Tensor:
    """Full-colour frames (N, T, 3, H, W) with the patches flipped that are to be."""
    for axis, chosen in zip((-2, -1), conditions.flips.T, strict=True):
        for patch in np.flatnonzero(chosen):
            linear[patch] = linear[patch].flip(axis)
    return linear


def seen_by(sensors: DrawnSensors, conditions: Conditions) -> DrawnSensors:
    """The sensors under these conditions; what they say of themselves is true."""
    gain, balance = np.exp2(conditions.gain), np.exp(conditions.balance)
    factors = np.stack([gain * balance, gain, gain / balance], 1)
    noise = np.exp2(np.stack([conditions.shot, conditions.read], 1))
    changed = replace(
        sensors,
        gains=sensors.gains * torch.from_numpy(factors),
        noise=(sensors.noise * torch.from_numpy(noise)).clamp_max_(1.0),
    )
    if not conditions.matrix.any():
        return changed
    share = torch.from_numpy(conditions.matrix)[:, None, None]
    ccm = torch.lerp(sensors.ccm, torch.eye(3).expand_as(sensors.ccm), share)
    return replace(changed, ccm=ccm, inverse=torch.linalg.inv(ccm))


def flickered(raw: Tensor, conditions: Conditions) -> Tensor:
    """Clean raw (N, T, 4, h, w) whose older frames are brighter or darker than the newest."""
    if not conditions.flicker.any():
        return raw
    count, frames = raw.shape[:2]
    stops = _source(conditions, _FLICKER).uniform(-1.0, 1.0, (count, frames)) * conditions.flicker[:, None]
    stops[:, -1] = 0.0
    factors = torch.from_numpy(np.exp2(stops).astype(np.float32))
    return raw.mul_(factors[:, :, None, None, None]).clamp_max_(1.0)


def with_defects(raw: Tensor, noise: Tensor, conditions: Conditions) -> Tensor:
    """Noisy raw (N, T, 4, h, w) with stuck pixels, at the same places in all frames, and offsets of rows.

    Args:
        raw: changed in place; may come out above 1.
        noise: (N, 2) shot and read variance.
        conditions: of the N patches.
    """
    if not (conditions.rows.any() or conditions.hot.any()):
        return raw
    source = _source(conditions, _DEFECTS)
    for patch in np.flatnonzero(conditions.rows > 0):
        frames, _, height, _ = raw.shape[1:]
        deviation = float(conditions.rows[patch]) * float(noise[patch, 1]) ** 0.5
        # Planes 0 and 1 lie in the even rows of the mosaic, 2 and 3 in the odd ones.
        offsets = source.normal(0.0, deviation, (frames, 2, height)).repeat(2, axis=1)
        raw[patch] += torch.from_numpy(offsets.astype(np.float32))[..., None]
    for patch in np.flatnonzero(conditions.hot > 0):
        pixels = raw[patch].flatten(1)
        count = source.binomial(pixels.shape[1], float(conditions.hot[patch]))
        sites = source.integers(pixels.shape[1], size=count)
        levels = source.uniform(*_HOT_LEVELS, count).astype(np.float32)
        pixels[:, torch.from_numpy(sites)] += torch.from_numpy(levels)
    return raw


def _source(conditions: Conditions, use: int) -> np.random.Generator:
    return np.random.default_rng((conditions.seed, use))

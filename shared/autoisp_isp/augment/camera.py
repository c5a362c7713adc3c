"""Conditions of filming applied to clean patches, and defects to noisy ones.

Everything works on what a noiseless camera delivered and on its truth, wherever those come from. Nothing
moves a pixel to another colour of the filter, and the truth stays what the picture should be: that of the
newest frame, through the gains and the matrix that the network is told.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from autoisp_isp.augment.conditions import Conditions
from autoisp_isp.clean_patches import CleanPatches
from autoisp_isp.colour import apply_ccm, linear_from_srgb, srgb_from_linear
from autoisp_isp.raw import bayer_flip, pack, unpack

_HOT_LEVELS = (0.2, 1.0)
"""What a stuck pixel adds, between these."""
_SHAKEN, _FLICKER, _ROWS, _STUCK = range(4)
_PLANE_TO_COLOUR = (0, 1, 1, 2)


def filmed(clean: CleanPatches, conditions: Conditions) -> CleanPatches:
    """The patches as filmed under these conditions, still without noise.

    Args:
        clean: its raw and truth are changed in place.
        conditions: of the patches.
    """
    _flip(clean, conditions)
    _move(clean.raw, conditions)
    clean = _through_other_sensors(clean, conditions)
    _flicker(clean.raw, conditions)
    stops = np.stack([conditions.shot, conditions.read], 1)
    return replace(clean, noise=(clean.noise * _on(clean.noise, np.exp2(stops))).clamp_max_(1.0))


def with_defects(raw: Tensor, noise: Tensor, conditions: Conditions) -> Tensor:
    """Noisy raw (N, T, 4, h, w) with stuck pixels, at the same places in all frames, and offsets of rows.

    Args:
        raw: changed in place; may come out above 1.
        noise: (N, 2) shot and read variance.
        conditions: of the N patches.
    """
    for patch in np.flatnonzero(conditions.rows):
        source = _source(conditions, patch, _ROWS)
        frames, _, height, _ = raw.shape[1:]
        # Planes 0 and 1 lie in the even rows of the mosaic, 2 and 3 in the odd ones.
        offsets = conditions.rows[patch] * source.normal(size=(frames, 2, height, 1)).repeat(2, axis=1)
        raw[patch] += _on(raw, offsets) * noise[patch, 1].sqrt()
    for patch in np.flatnonzero(conditions.hot):
        source = _source(conditions, patch, _STUCK)
        planes, height, width = raw.shape[2:]
        sites = source.random((planes, height, width)) < conditions.hot[patch]
        raw[patch] += _on(raw, sites * source.uniform(*_HOT_LEVELS, sites.shape))
    return raw


def _flip(clean: CleanPatches, conditions: Conditions) -> None:
    for patch in np.flatnonzero(conditions.flips.any(1)):
        rows, columns = conditions.flips[patch].tolist()
        mosaic = bayer_flip(unpack(clean.raw[patch]), vertical=rows, horizontal=columns)
        clean.raw[patch] = pack(mosaic)
        # The way a mosaic is flipped moves it on by a pixel: the truth follows.
        clean.truth[patch] = bayer_flip(clean.truth[patch], vertical=rows, horizontal=columns)


def _move(raw: Tensor, conditions: Conditions) -> None:
    """Moves older frames by whole tiles of the filter; what is not known beyond the border is mirrored."""
    height, width = raw.shape[-2:]
    for patch in np.flatnonzero(conditions.pan.any(1) | (conditions.shake != 0)):
        for frame, (down, right) in enumerate(_shifts(conditions, patch, raw.shape[1])):
            if down or right:
                rows, columns = _mirrored(height, down), _mirrored(width, right)
                raw[patch, frame] = raw[patch, frame][:, rows[:, None], columns]


def _shifts(conditions: Conditions, patch: np.int64, frames: int) -> list[list[int]]:
    """Where the scene is in each frame: tiles down and right; 0 in the newest."""
    ages = np.arange(frames - 1, -1, -1)[:, None]
    drawn = _source(conditions, patch, _SHAKEN).uniform(-1.0, 1.0, (frames, 2))
    pixels = ages * conditions.pan[patch] + (ages > 0) * drawn * conditions.shake[patch]
    shifts: list[list[int]] = np.rint(pixels / 2.0).astype(int).tolist()
    return shifts


def _mirrored(size: int, shift: int) -> Tensor:
    """Where each of `size` places is read from when all are moved by `shift`, at most by half of the size."""
    places = np.arange(size) + max(-size // 2, min(size // 2, shift))
    return torch.from_numpy(size - 1 - np.abs(size - 1 - np.abs(places)))


def _through_other_sensors(clean: CleanPatches, conditions: Conditions) -> CleanPatches:
    gain, balance = np.exp2(conditions.gain), np.exp(conditions.balance)
    factors = _on(clean.gains, np.stack([gain * balance, gain, gain / balance], 1))
    gains, ccm = clean.gains * factors, clean.ccm
    for patch in np.flatnonzero((conditions.gain != 0) | (conditions.balance != 0)):
        clean.raw[patch].div_(factors[patch, _PLANE_TO_COLOUR][:, None, None]).clamp_max_(1.0)
    if conditions.matrix.any():
        share = _on(ccm, conditions.matrix)[:, None, None]
        ccm = torch.lerp(ccm, torch.eye(3).to(ccm).expand_as(ccm), share)
    # The picture changes with the matrix, and where gains below 1 lift the scene over what clips raw.
    changed = np.flatnonzero((conditions.matrix != 0) | ((gains < 1.0).any(1).cpu().numpy()))
    if len(changed):
        linear = linear_from_srgb(clean.truth[changed])
        camera = apply_ccm(linear, torch.linalg.inv(clean.ccm[changed])).clamp_(0.0, 1.0)
        seen = torch.minimum(camera, gains[changed][:, :, None, None])
        clean.truth[changed] = srgb_from_linear(apply_ccm(seen, ccm[changed]))
    return replace(clean, gains=gains, ccm=ccm)


def _flicker(raw: Tensor, conditions: Conditions) -> None:
    for patch in np.flatnonzero(conditions.flicker):
        drawn = _source(conditions, patch, _FLICKER).uniform(-1.0, 1.0, raw.shape[1])
        stops = conditions.flicker[patch] * drawn
        stops[-1] = 0.0
        raw[patch].mul_(_on(raw, np.exp2(stops))[:, None, None, None]).clamp_max_(1.0)


def _on(like: Tensor, values: npt.NDArray[np.floating]) -> Tensor:
    """Values as a tensor of the other's type and device."""
    return torch.from_numpy(values).to(like)


def _source(conditions: Conditions, patch: np.int64, use: int) -> np.random.Generator:
    return np.random.default_rng((int(conditions.seeds[patch]), use))

"""Noise, gains and colour matrix of each patch of a batch, and clean pictures seen through them."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from autoisp_core.sensor import SensorProfile
from torch import Tensor

# A fixed test noise is trained with its neighbourhood: the estimate a camera hands over is never exact.
_AROUND_TEST_NOISE = 1.4
# Share of patches with the nominal gains and matrix; the rest spreads over the sensor's ranges.
_NOMINAL = 0.5
# A camera interpolates its matrix by the light: from 0.85 to 1.15 times as far from identity.
_CCM_SPREAD = 0.15

# Channel, row and column of the four packed planes R, G1, G2, B.
_PLANES = ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1))


@dataclass(frozen=True)
class DrawnSensors:
    """Sensors of one batch.

    Attributes:
        gains: (N, 3); ccm and its inverse: (N, 3, 3); noise: (N, 2).
        identity: whether every matrix is the identity and no gain is below 1, so that nothing is clipped.
    """

    gains: Tensor
    ccm: Tensor
    inverse: Tensor
    noise: Tensor
    identity: bool

    def planes(self, linear: Tensor) -> Tensor:
        """Linear sRGB (N, T, 3, H, W) as clean packed raw (N, T, 4, h, w)."""
        count, frames, _, height, width = linear.shape
        planes = linear.new_empty(count, frames, 4, height // 2, width // 2)
        for plane, (channel, row, column) in enumerate(_PLANES):
            sampled = linear[..., row::2, column::2]
            target = planes[:, :, plane]
            if self.identity:
                target.copy_(sampled[:, :, channel])
            else:
                weights = self.inverse[:, channel, :, None, None, None]
                torch.mul(sampled[:, :, 0], weights[:, 0], out=target)
                target.addcmul_(sampled[:, :, 1], weights[:, 1]).addcmul_(sampled[:, :, 2], weights[:, 2])
                target.clamp_(0.0, 1.0)
            target.div_(self.gains[:, channel, None, None, None])
        return planes.clamp_max_(1.0)

    def reachable(self, linear: Tensor) -> Tensor:
        """Linear sRGB (N, 3, H, W) after the way into camera colours, clipped there, and back; in [0, 1]."""
        flat = linear.flatten(2)
        camera = torch.bmm(self.inverse, flat).clamp_(0.0, 1.0)
        # Gains below 1 lift camera values over white, where the sensor clips them.
        camera = torch.minimum(camera, self.gains[:, :, None])
        return torch.bmm(self.ccm, camera).clamp_(0.0, 1.0).view_as(linear)


class SensorDraws:
    """Draws sensors around a profile."""

    def __init__(self, sensor: SensorProfile) -> None:
        self._sensor = sensor
        self._nominal = np.asarray(sensor.gains, dtype=np.float32)
        self._ccm = np.asarray(sensor.ccm, dtype=np.float32)

    def draw(self, choices: np.random.Generator, size: int) -> DrawnSensors:
        """The sensors of `size` patches."""
        gains = np.repeat(self._nominal[None], size, axis=0)
        ccm = np.repeat(self._ccm[None], size, axis=0)
        noise = np.empty((size, 2), np.float32)
        for index in range(size):
            noise[index] = self._noise(choices)
            if choices.random() >= _NOMINAL:
                gains[index, 0] = choices.uniform(*self._sensor.red_range)
                gains[index, 2] = choices.uniform(*self._sensor.blue_range)
                strength = 1.0 + choices.uniform(-_CCM_SPREAD, _CCM_SPREAD)
                ccm[index] = np.eye(3) + strength * (self._ccm - np.eye(3))
        matrices = torch.from_numpy(ccm)
        return DrawnSensors(
            gains=torch.from_numpy(gains),
            ccm=matrices,
            inverse=torch.linalg.inv(matrices),
            noise=torch.from_numpy(noise),
            identity=self._sensor.has_identity_ccm and float(gains.min()) >= 1.0,
        )

    def _noise(self, choices: np.random.Generator) -> tuple[float, float]:
        fixed = self._sensor.test_noise
        if fixed is None:
            drawn = self._sensor.noise_range.at(choices.random(), choices.normal())
        else:
            spread = math.log(_AROUND_TEST_NOISE)
            drawn = fixed.scaled(math.exp(choices.uniform(-spread, spread)))
        return drawn.shot, drawn.read

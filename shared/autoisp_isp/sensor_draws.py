"""Noise, gains and colour matrix of each patch of a batch, and clean pictures seen through them."""

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

    def part(self, chosen: Tensor) -> "DrawnSensors":
        """The sensors of the patches at these places (M,)."""
        return DrawnSensors(
            self.gains[chosen], self.ccm[chosen], self.inverse[chosen], self.noise[chosen], self.identity
        )

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
        numbers = choices.random((5, size), dtype=np.float32)
        drawn = numbers[0] >= _NOMINAL
        gains = np.repeat(self._nominal[None], size, axis=0)
        for channel, (low, high) in ((0, self._sensor.red_range), (2, self._sensor.blue_range)):
            gains[drawn, channel] = (low + numbers[1 + channel] * (high - low))[drawn]
        strength = np.where(drawn, 1.0 + _CCM_SPREAD * (2.0 * numbers[2] - 1.0), 1.0)
        eye = np.eye(3, dtype=np.float32)
        ccm = (eye + strength[:, None, None] * (self._ccm - eye)).astype(np.float32)
        deviations = choices.normal(size=size)
        noise = np.array([self._noise(*pair) for pair in zip(numbers[4].tolist(), deviations, strict=True)])
        matrices = torch.from_numpy(ccm)
        return DrawnSensors(
            gains=torch.from_numpy(gains),
            ccm=matrices,
            inverse=torch.linalg.inv(matrices),
            noise=torch.from_numpy(noise.astype(np.float32)),
            identity=self._sensor.has_identity_ccm and float(gains.min()) >= 1.0,
        )

    def _noise(self, share: float, deviation: float) -> tuple[float, float]:
        fixed = self._sensor.test_noise
        if fixed is None:
            drawn = self._sensor.noise_range.at(share, deviation)
        else:
            drawn = fixed.scaled(_AROUND_TEST_NOISE ** (2.0 * share - 1.0))
        return drawn.shot, drawn.read

"""Synthetic raw footage with known noise: a still life with texture, shading and edges, and what moves."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Linear = npt.NDArray[np.float64]
Mosaic = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class RawCamera:
    """What turns light into code values: variance = shot · x + read, then rounding and clipping.

    Attributes:
        shot, read: variances, in [0, 1] from black to white level.
        bits: of a code value; white is the largest.
        black_level: code value of no light.
    """

    shot: float
    read: float
    bits: int = 10
    black_level: int = 64

    @property
    def white_level(self) -> int:
        """The largest code value."""
        return (1 << self.bits) - 1

    @property
    def measured_read(self) -> float:
        """The read variance with that of rounding, 1/12 code value squared, which can't be told apart."""
        return self.read + 1 / 12 / (self.white_level - self.black_level) ** 2

    def expose(self, light: Linear, source: np.random.Generator) -> Mosaic:
        """One frame of code values."""
        noisy = light + source.normal(size=light.shape) * np.sqrt(
            self.shot * np.maximum(light, 0) + self.read
        )
        codes = np.round(noisy * (self.white_level - self.black_level) + self.black_level)
        return np.clip(codes, 0, self.white_level).astype(np.uint16)


def still_life(height: int, width: int, source: np.random.Generator) -> Linear:
    """Light on the sensor in [0, 1.05], (height, width): natural texture and shaded shapes."""
    texture = _texture(height, width, source)
    light = 0.3 + 0.12 * texture
    rows, columns = np.mgrid[:height, :width]
    for _ in range(40):
        down, right = source.integers(0, height), source.integers(0, width)
        tall, wide = (
            source.integers(2 + height // 32, 3 + height // 5),
            source.integers(2 + width // 48, 3 + width // 5),
        )
        y, x = (rows - down) / tall, (columns - right) / wide
        inside = y**2 + x**2 < 1 if source.random() < 0.5 else (abs(y) < 1) & (abs(x) < 1)
        shade = 0.95 * source.random() ** 2 * (1 + 0.1 * (columns - right) / width)
        light = np.where(inside, shade + 0.03 * source.random() * texture, light)
    return np.clip(light, 0.0, 1.05)


def raw_footage(
    camera: RawCamera,
    frames: int,
    *,
    seed: int,
    height: int = 512,
    width: int = 768,
    moving: bool = True,
    drift: float = 0.0,
) -> Iterator[Mosaic]:
    """Frames of a still life; the same seed gives the same footage.

    Args:
        moving: three textured things cross the picture at different speeds.
        drift: share by which the light changes from frame to frame, as a lamp that warms up.
    """
    source = np.random.default_rng(seed)
    scene = still_life(height, width, source)
    thing = still_life(height // 4, width // 5, source)
    for time in range(frames):
        light = scene.copy()
        for lane in range(3 if moving else 0):
            top, left = height // 12 + lane * height // 3, width // 24 + (5 + 4 * lane) * time
            part = light[top : top + height // 4, left : left + width // 5]
            part[:] = thing[: part.shape[0], : part.shape[1]]
        yield camera.expose(light * (1 + drift * time), source)


def _texture(height: int, width: int, source: np.random.Generator) -> Linear:
    """Mean 0, deviation 1, amplitudes that fall with frequency as in natural pictures."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    amplitude = np.maximum(frequency, 1 / max(height, width)) ** -1.6
    phases = np.exp(2j * np.pi * source.random((height, width)))
    texture: Linear = np.fft.ifft2(amplitude * phases).real
    texture -= texture.mean()
    texture /= texture.std()
    return texture


def write_raw_dump(folder: Path, camera: RawCamera, frames: Iterable[Mosaic], **sidecar: object) -> Path:
    """Writes frames as a folder of raw values, 16 bits each, and ``sidecar.json`` with what else is given."""
    folder.mkdir(parents=True)
    for index, mosaic in enumerate(frames):
        (folder / f"frame{index:04d}.raw").write_bytes(mosaic.astype("<u2").tobytes())
    height, width = mosaic.shape
    known = {
        "width": width,
        "height": height,
        "cfa": "RGGB",
        "bit_depth": camera.bits,
        "packing": "raw16",
        "black_level": camera.black_level,
        "white_level": camera.white_level,
    }
    (folder / "sidecar.json").write_text(json.dumps(known | sidecar))
    return folder

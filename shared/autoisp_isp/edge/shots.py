"""Frames to calibrate with: noisy raw in order, with the truth, as a file between two processes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from autoisp_core.sensor import SensorProfile

from autoisp_isp.contract import Contract
from autoisp_isp.edge.shadows import Array, shadow_psnr
from autoisp_isp.metrics.fidelity import psnr
from autoisp_isp.runtime_session import OnnxNetwork, load_session

if TYPE_CHECKING:  # it imports torch, which making formats needs no more than running them
    from autoisp_isp.reel import Shot

_FIELDS = ("raw", "gains", "ccm", "noise", "truth")
_SYNTHETIC = (96, 160)
"""Rows and columns of the raw planes of synthetic frames."""


@dataclass(frozen=True)
class CalibrationFrame:
    """One frame.

    Attributes:
        fresh: whether a stream begins with it.
        raw: (T, 4, h, w) noisy packed RGGB, oldest first.
        gains: (3,); ccm: (3, 3); noise: (2,).
        truth: (3, 2h, 2w) sRGB.
    """

    fresh: bool
    raw: Array
    gains: Array
    ccm: Array
    noise: Array
    truth: Array

    @classmethod
    def of(cls, shot: Shot, frames: int) -> CalibrationFrame:
        """From a clip's shot, for a network with a window of so many frames."""
        return cls(shot.fresh, shot.window(frames), shot.gains, shot.ccm, shot.noise, shot.truth)


def packed(frames: Sequence[CalibrationFrame]) -> bytes:
    """As a NumPy archive; nothing in it is pickled."""
    arrays: dict[str, npt.NDArray[np.generic]] = {"fresh": np.array([frame.fresh for frame in frames])}
    for index, frame in enumerate(frames):
        arrays |= {f"{name}{index}": getattr(frame, name) for name in _FIELDS}
    target = io.BytesIO()
    np.savez(target, **arrays)  # type: ignore[arg-type]
    return target.getvalue()


def unpacked(data: bytes) -> list[CalibrationFrame]:
    """The reverse of `packed`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return [
            CalibrationFrame(bool(fresh), *(arrays[f"{name}{index}"] for name in _FIELDS))
            for index, fresh in enumerate(arrays["fresh"])
        ]


def synthetic_frames(contract: Contract, sensor: SensorProfile, seed: int) -> list[CalibrationFrame]:
    """A dark, a bright and a shaded frame of every evaluated noise: no footage, only something to run.

    The truth is nothing but zeros.
    """
    height, width = _SYNTHETIC
    shade = np.linspace(0.0, 1.0, width, dtype=np.float32) ** 2 * np.ones((height, 1), np.float32)
    generator = np.random.default_rng(seed)
    frames = []
    for noise in sensor.evaluation_noises():
        for light in (np.zeros_like(shade), np.ones_like(shade), shade):
            clean = np.broadcast_to(light, (contract.frames, 4, height, width))
            drawn = generator.standard_normal(clean.shape, np.float32)
            raw = np.minimum(clean + np.sqrt(noise.shot * clean + noise.read) * drawn, 1.0)
            frames.append(
                CalibrationFrame(
                    True,
                    raw.astype(np.float32),
                    np.asarray(sensor.gains, np.float32),
                    np.asarray(sensor.ccm, np.float32),
                    np.array([noise.shot, noise.read], np.float32),
                    np.zeros((3, 2 * height, 2 * width), np.float32),
                )
            )
    return frames


class _Recorder(OnnxNetwork):
    """Remembers what a graph is fed with."""

    def __init__(self, network: OnnxNetwork) -> None:
        super().__init__(network.contract, network._session, network.threads, network._state_session)
        self.inputs: list[dict[str, Array]] = []

    def step(self, inputs: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        self.inputs.append({name: np.array(value, np.float32) for name, value in inputs.items()})
        return super().step(inputs)


def graph_inputs(model: bytes, frames: Iterable[CalibrationFrame]) -> list[dict[str, Array]]:
    """What a graph is fed with, frame by frame: of one with state, what it carries from frame to frame."""
    recorder = _Recorder(load_session(model))
    developed(recorder, frames)
    return recorder.inputs


def developed(network: OnnxNetwork, frames: Iterable[CalibrationFrame]) -> list[Array]:
    """The pictures (3, 2h, 2w), the frames being run in order."""
    stream, pictures = network.start(), []
    for frame in frames:
        if frame.fresh:
            stream = network.start()
        pictures.append(stream.run(frame.raw, frame.gains, frame.ccm, frame.noise))
    return pictures


def lost_db(
    reference: Sequence[Array], pictures: Sequence[Array], frames: Sequence[CalibrationFrame]
) -> tuple[float, float]:
    """What pictures lose against others in dB, over all pixels and over the darkest quarter, in the mean over
    frames. Infinite where a picture has values that are no numbers."""
    if not all(np.isfinite(picture).all() for picture in pictures):
        return float("inf"), float("inf")
    every = list(zip(reference, pictures, frames, strict=True))
    return (
        float(np.mean([psnr(one, frame.truth) - psnr(other, frame.truth) for one, other, frame in every])),
        float(
            np.mean(
                [
                    shadow_psnr(one, frame.truth) - shadow_psnr(other, frame.truth)
                    for one, other, frame in every
                ]
            )
        ),
    )


def closeness(reference: Sequence[Array], pictures: Sequence[Array]) -> float:
    """The least PSNR in dB of pictures against others; minus infinity where there are no numbers."""
    if not all(np.isfinite(picture).all() for picture in pictures):
        return float("-inf")
    return min(psnr(picture, one) for picture, one in zip(pictures, reference, strict=True))

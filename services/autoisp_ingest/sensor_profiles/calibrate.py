"""From raw clips to a profile with measured noise."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from autoisp_core.errors import CancelledError, FailedPreconditionError, InvalidArgumentError
from autoisp_core.noise import Noise, NoiseRange
from autoisp_core.sensor import SensorProfile

from autoisp_ingest.domain import Clip
from autoisp_ingest.sensor_profiles.domain import Calibration, Method
from autoisp_ingest.sensor_profiles.photon_transfer import (
    SIDE,
    Blocks,
    Curve,
    between_frames,
    black_level_of,
    measure,
    within_frame,
)
from autoisp_ingest.sensor_profiles.ports import RawReader

MOST_FRAMES = 32
"""Read of all clips together, however long they are; two at a time are in memory."""
MOST_DARK_FRAMES = 8
_UNCERTAIN = 0.5
"""Half-width of the shot variance's interval, as a share of it, from which on nothing was measured."""


class Calibrate:
    """Measures the photon transfer curve off the event loop.

    Args:
        executor: its number of threads is how many measurements run at once; others wait.
    """

    def __init__(self, reader: RawReader, executor: Executor) -> None:
        self._reader = reader
        self._executor = executor

    async def __call__(
        self,
        name: str,
        clips: Sequence[Clip],
        dark_clips: Sequence[Clip],
        method: Method | None,
        colour: SensorProfile | None,
    ) -> tuple[SensorProfile, Calibration]:
        """Measure.

        Args:
            name: of the new profile.
            clips: raw, at least one, of one camera at one ISO.
            dark_clips: raw, of the same camera, lens covered.
            method: None: static frames if every clip has two or more, else flat patches.
            colour: whose gains and matrix to take, which no noise tells; None: those of the first clip.

        Raises:
            InvalidArgumentError: the clips are of different sensors.
            FailedPreconditionError: the footage does not show what is needed; the message says what.
            DataLossError, NotFoundError, UnavailableError: frames can't be read.
        """
        sensors = _sensors(name, clips, dark_clips)
        method = method or _method(clips)
        stop = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, self._measure, sensors, clips, dark_clips, method, stop
        )
        try:
            calibration = await asyncio.shield(work)
        except asyncio.CancelledError:
            # Nobody waits for it any more: let the thread go at its next frame.
            stop.set()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        return _profile(sensors, calibration, colour), calibration

    def _measure(
        self,
        sensor: SensorProfile,
        clips: Sequence[Clip],
        dark_clips: Sequence[Clip],
        method: Method,
        stop: threading.Event,
    ) -> Calibration:
        black, white = sensor.black_level, sensor.white_level
        if dark_clips:
            black = self._black_level(dark_clips, white, stop)
        share = max(1, MOST_FRAMES // len(clips))
        parts = [part for clip in clips for part in self._blocks(clip, black, white, method, share, stop)]
        curve = measure(parts, lowest=-black / (white - black))
        if curve is None or curve.line.shot_interval >= _UNCERTAIN * curve.line.shot:
            raise _unfit(method)
        return _calibration(curve, black, white, method, [clip.name for clip in clips])

    def _blocks(
        self, clip: Clip, black: float, white: float, method: Method, frames: int, stop: threading.Event
    ) -> Iterator[Blocks]:
        with self._reader.open(clip) as read:
            step = 2 if method is Method.STATIC_FRAMES else 1
            for first in _spread(clip.frame_count, step, max(1, frames // step)):
                _go_on(stop)
                read_frames = read(first, first + step)
                if method is Method.STATIC_FRAMES:
                    yield between_frames(read_frames[0], read_frames[1], black, white)
                else:
                    yield within_frame(read_frames[0], black, white)

    def _black_level(self, clips: Sequence[Clip], white: float, stop: threading.Event) -> float:
        levels = []
        for clip in clips:
            with self._reader.open(clip) as read:
                for first in _spread(clip.frame_count, 1, max(1, MOST_DARK_FRAMES // len(clips))):
                    _go_on(stop)
                    levels.append(black_level_of(read(first, first + 1)))
        level = sum(levels) / len(levels)
        if level > white / 2:
            raise FailedPreconditionError(
                f"the dark clips have a mean of {level:.0f} of {white:.0f}: film them with the lens covered",
                reason="DARK_CLIP_NOT_DARK",
                metadata={"field": "calibrate.dark_clips"},
            )
        return level


def _sensors(name: str, clips: Sequence[Clip], dark_clips: Sequence[Clip]) -> SensorProfile:
    """The one sensor of all clips, under the new name."""
    sensor = _sensor(name, clips[0])
    fields = [("clips", clips), ("dark_clips", dark_clips)]
    for field, index, clip in ((f, i, clip) for f, some in fields for i, clip in enumerate(some)):
        other = _sensor(name, clip)
        if (other.black_level, other.white_level) != (sensor.black_level, sensor.white_level):
            raise InvalidArgumentError(
                f"calibrate.{field}[{index}]",
                f"{clip.name} has levels {other.black_level:g} to {other.white_level:g}, {clips[0].name} "
                f"{sensor.black_level:g} to {sensor.white_level:g}: name clips of one camera",
            )
    return sensor


def _sensor(name: str, clip: Clip) -> SensorProfile:
    if clip.sensor is not None:
        return replace(clip.sensor, name=name, cfa=clip.format.cfa)
    return SensorProfile(name, cfa=clip.format.cfa, white_level=float(2**clip.format.bit_depth - 1))


def _method(clips: Sequence[Clip]) -> Method:
    return Method.STATIC_FRAMES if all(clip.frame_count > 1 for clip in clips) else Method.FLAT_PATCHES


def _spread(count: int, step: int, most: int) -> list[int]:
    """First frames of at most ``most`` runs of ``step`` frames, evenly over a clip, none overlapping."""
    runs = count // step
    if runs == 0:
        raise FailedPreconditionError(
            "static frames need two frames or more: film longer, or measure flat patches",
            reason="TOO_FEW_FRAMES",
            metadata={"field": "calibrate.method"},
        )
    chosen = min(runs, most)
    return [index * runs // chosen * step for index in range(chosen)]


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise CancelledError("the measurement was cancelled; ask for it again")


def _calibration(
    curve: Curve, black: float, white: float, method: Method, clips: Sequence[str]
) -> Calibration:
    line, points = curve.line, curve.points
    return Calibration(
        noise=Noise(line.shot, line.read),
        shot_interval=line.shot_interval,
        read_interval=line.read_interval,
        r_squared=line.r_squared,
        black_level=black,
        white_level=white,
        method=method,
        means=tuple(float(mean) for mean in points.means),
        variances=tuple(float(variance) for variance in points.variances),
        counts=tuple(int(blocks) * SIDE * SIDE for blocks in curve.blocks),
        clips=tuple(clips),
    )


def _profile(sensor: SensorProfile, calibration: Calibration, colour: SensorProfile | None) -> SensorProfile:
    source = colour or sensor
    return replace(
        sensor,
        black_level=calibration.black_level,
        gains=source.gains,
        red_range=source.red_range,
        blue_range=source.blue_range,
        ccm=source.ccm,
        noise_range=NoiseRange.around(calibration.noise),
        test_noise=calibration.noise,
    )


def _unfit(method: Method) -> FailedPreconditionError:
    need = (
        "film a scene that stands still, with dark and bright parts, from a tripod, at least 2 frames and "
        "better 16"
        if method is Method.STATIC_FRAMES
        else "film evenly lit areas without detail, from dark to bright (a grey chart or a wall, out of "
        "focus), or measure static frames"
    )
    return FailedPreconditionError(
        f"too little of the footage is nothing but noise at different brightness to fit a line: {need}",
        reason="FOOTAGE_UNFIT",
        metadata={"field": "calibrate.clips", "method": method.value},
    )

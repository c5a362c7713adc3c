"""Frames of training clips that formats are calibrated on: few, small, in order."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp_core.errors import FailedPreconditionError
from autoisp_isp.edge.shots import CalibrationFrame
from autoisp_isp.evaluation import Developer, spread_indices
from autoisp_isp.reel import Reel

from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import ClipRange
from autoisp_worker.domain_conversion import ConversionJob
from autoisp_worker.frames import Frames
from autoisp_worker.jobs.faults import check_stop
from autoisp_worker.tools import Tools

_CLIPS, _FRAMES = 4, 6
_HEIGHT, _WIDTH = 192, 320
"""Of the middle of each frame: an activation's range needs no more, and the time goes with it."""


def calibration_frames(
    job: ConversionJob, clips: Sequence[ClipRange], developer: Developer, tools: Tools, stop: StopRequest
) -> list[CalibrationFrame]:
    """Consecutive frames from the middle of evenly spread clips, with the noise of the sensor.

    Raises:
        FailedPreconditionError: reason EMPTY_SPLIT, there is no clip.
        NotFoundError, DataLossError, UnavailableError: a clip can't be had from the store.
    """
    if not clips:
        raise FailedPreconditionError(
            "the dataset has no training clip to calibrate on; create one with at least one",
            reason="EMPTY_SPLIT",
        )
    made = []
    for index in spread_indices(len(clips), min(_CLIPS, len(clips))):
        clip = clips[index]
        frames = tools.frames.frames(clip)
        count = min(_FRAMES, len(frames))
        first = (len(frames) - count) // 2
        middle = [_middle(frames[place]) for place in range(first, first + count)]
        reel = Reel(middle, job.sensor, job.seed, clip.digest, range(count), [developer], tools.threads)
        for position in range(count):
            check_stop(stop)
            made.append(CalibrationFrame.of(reel(position), developer.frames))
    return made


def _middle(frame: Frames) -> Frames:
    """The middle, cut at multiples of 4, so that the phase of the colour filter stays."""
    height, width = frame.shape[0], frame.shape[1]
    top, left = (max(0, height - _HEIGHT) // 8 * 4, max(0, width - _WIDTH) // 8 * 4)
    return frame[top : top + _HEIGHT, left : left + _WIDTH]

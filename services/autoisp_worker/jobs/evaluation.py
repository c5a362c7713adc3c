"""Judging subjects on one clip: same frames, same noise, frame by frame, timed in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoisp_core.sensor import SensorProfile
from autoisp_isp.crops import crops
from autoisp_isp.evaluation import FrameResult, evaluate, spread_indices
from autoisp_isp.prototype import sensor_for

from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import (
    ClipResult,
    EvaluationJob,
    FrameQuality,
    Picture,
    Quality,
    SubjectResult,
)
from autoisp_worker.frames import Frames
from autoisp_worker.jobs.faults import StoppedError, check_stop, failure_of
from autoisp_worker.jobs.subjects import OpenSubject, open_subject
from autoisp_worker.jobs.timing import seconds_per_megapixel
from autoisp_worker.jobs.validation import mean_quality
from autoisp_worker.tools import Tools

_TIMING_SECONDS = 4.0
_CROP_EDGE, _ENLARGE = 144, 3


def judge(job: EvaluationJob, tools: Tools, stop: StopRequest) -> ClipResult:
    """Judge all subjects on the clip; one that can't be judged fails the clip, never the evaluation.

    Raises:
        AutoISPError: transient, or this worker stops; another attempt may succeed.
    """
    try:
        return _judge(job, tools, stop)
    except StoppedError:
        raise
    except Exception as error:
        return ClipResult(job.clip.clip, job.clip.display_name, failure=failure_of(error))


def _judge(job: EvaluationJob, tools: Tools, stop: StopRequest) -> ClipResult:
    subjects = {subject.label: open_subject(subject, tools.store) for subject in job.subjects}
    sensor = job.sensor
    for subject in job.subjects:
        if subject.prototype is not None:
            sensor = sensor_for(subjects[subject.label].developer, sensor)
    frames = tools.frames.frames(job.clip)
    indices = spread_indices(len(frames), job.frames_per_clip or len(frames))
    measured = _measure(job, subjects, frames, sensor, indices, stop)
    seconds = seconds_per_megapixel(
        {label: subject.developer for label, subject in subjects.items()},
        frames,
        sensor,
        seconds=_TIMING_SECONDS,
    )
    return ClipResult(
        clip=job.clip.clip,
        display_name=job.clip.display_name,
        subjects=tuple(
            SubjectResult(
                label,
                mean_quality([measured[label]]),
                subject.cost(seconds[label]),
                tuple(_frame(job, result) for result in measured[label]),
            )
            for label, subject in subjects.items()
        ),
        pictures=_pictures(job, tools, subjects, frames, sensor, indices),
    )


def _measure(
    job: EvaluationJob,
    subjects: Mapping[str, OpenSubject],
    frames: Sequence[Frames],
    sensor: SensorProfile,
    indices: Sequence[int],
    stop: StopRequest,
) -> dict[str, list[FrameResult]]:
    measured: dict[str, list[FrameResult]] = {}
    for label, subject in subjects.items():
        measured[label] = []
        noises = sensor.evaluation_noises()
        for result in evaluate(subject.developer, frames, sensor, noises, job.seed, indices, job.clip.digest):
            check_stop(stop)
            measured[label].append(result)
    return measured


def _frame(job: EvaluationJob, result: FrameResult) -> FrameQuality:
    return FrameQuality(job.clip.first_frame + result.index, Quality(result.psnr, result.ssim))


def _pictures(
    job: EvaluationJob,
    tools: Tools,
    subjects: Mapping[str, OpenSubject],
    frames: Sequence[Frames],
    sensor: SensorProfile,
    indices: Sequence[int],
) -> tuple[Picture, ...]:
    """Crops of the middle one of the judged frames, with the noise it was judged with."""
    position = len(indices) // 2
    noises = sensor.evaluation_noises()
    pngs = crops(
        {label: subject.developer for label, subject in subjects.items()},
        frames,
        sensor,
        noises[position % len(noises)],
        job.seed,
        indices[position],
        job.clip.digest,
        edge=_CROP_EDGE,
        scale=_ENLARGE,
    )
    frame = job.clip.first_frame + indices[position]
    return tuple(Picture(kind, frame, tools.store.put_bytes(png, "image/png")) for kind, png in pngs.items())

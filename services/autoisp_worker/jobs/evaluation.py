"""Judging subjects on one clip: same frames, same noise, in one pass over the clip."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from autoisp_isp.evaluation import Array, spread_indices
from autoisp_isp.prefetch import Prefetcher
from autoisp_isp.prototype import sensor_for
from autoisp_isp.reel import Reel, Shot

from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.domain import Failure
from autoisp_worker.domain_evaluation import ClipResult, EvaluationJob, FramesJudged, FrameValues
from autoisp_worker.jobs.faults import StoppedError, blamed, check_stop, failure_of
from autoisp_worker.jobs.judging import Judging
from autoisp_worker.jobs.pictures import Gallery
from autoisp_worker.jobs.subjects import open_subject, open_timed
from autoisp_worker.jobs.timing import seconds_per_megapixel
from autoisp_worker.tools import Tools
from autoisp_worker.usecases import OnFrames

_AHEAD, _SPREAD_AHEAD = 3, 1
"""Frames whose raw is made before they are developed: enough to even out, and few of a large clip. Each of
spread ones has a past of its own, so they are as large as a dozen others."""
_TIMING_SHARE, _TIMING_SECONDS = 0.1, (1.0, 4.0)
"""Of the time that judging took, within limits, goes into timing the subjects in turns."""


def judge(job: EvaluationJob, tools: Tools, stop: StopRequest, on_frames: OnFrames) -> ClipResult:
    """Judge all subjects on the clip; one that can't be judged fails the clip, never the evaluation.

    Raises:
        AutoISPError: transient, or this worker stops; another attempt may succeed.
    """
    try:
        with ExitStack() as opened:
            return _judge(job, tools, stop, on_frames, opened)
    except StoppedError as error:
        return _stopped(job, error)
    except Exception as error:
        return ClipResult(job.clip.clip, job.clip.display_name, failure=failure_of(error))


def _stopped(job: EvaluationJob, error: StoppedError) -> ClipResult:
    match error.stop_reason:
        case StopReason.CANCELLED:
            failure = Failure("CANCELLED", "the evaluation was cancelled before this clip was judged")
        case StopReason.TIME_LIMIT:
            failure = Failure(
                "TIME_LIMIT",
                "judging the clip took longer than AUTOISP_CLIP_LIMIT_SECONDS; judge fewer frames, or raise "
                "the limit",
            )
        case StopReason.SHUTDOWN:
            raise error
    cancelled = error.stop_reason is StopReason.CANCELLED
    return ClipResult(job.clip.clip, job.clip.display_name, failure=failure, cancelled=cancelled)


def _judge(
    job: EvaluationJob, tools: Tools, stop: StopRequest, on_frames: OnFrames, opened: ExitStack
) -> ClipResult:
    def wait() -> None:
        check_stop(stop)

    wait()
    sensor, subjects = job.sensor, {}
    for subject in job.subjects:
        with blamed(subject.label):
            subjects[subject.label] = open_subject(subject, tools, opened, wait)
        if subject.prototype is not None:
            sensor = sensor_for(subjects[subject.label].developer, sensor)
    frames = tools.frames.frames(job.clip)
    indices = spread_indices(len(frames), job.frames_per_clip or len(frames))
    developers = [subject.developer for subject in subjects.values()]
    reel = Reel(frames, sensor, job.seed, job.clip.digest, indices, developers, tools.threads)
    judgings = [
        Judging(label, subject, job.metrics, whole=reel.whole, first_frame=job.clip.first_frame)
        for label, subject in subjects.items()
    ]
    for judging in judgings:
        opened.callback(judging.close)
    on_frames(_News(job.metrics, judgings, len(indices)).take)
    gallery = Gallery(job.clip.clip, list(subjects), indices[len(indices) // 2])
    begun = time.perf_counter()
    _watch_all(reel, judgings, gallery, stop)
    latencies = [judging.latency() for judging in judgings]
    least, most = _TIMING_SECONDS
    length = min(most, max(least, _TIMING_SHARE * (time.perf_counter() - begun)))
    timed = {}
    for subject in job.subjects:
        with blamed(subject.label):
            timed[subject.label] = open_timed(subject, subjects[subject.label].developer, tools, opened, wait)
    seconds = seconds_per_megapixel(timed, frames, sensor, seconds=length)
    return ClipResult(
        clip=job.clip.clip,
        display_name=job.clip.display_name,
        subjects=tuple(
            judging.result(latency, seconds[judging.label])
            for judging, latency in zip(judgings, latencies, strict=True)
        ),
        pictures=gallery.pictures(tools.store),
        worst=gallery.worst(tools.store),
    )


def _watch_all(reel: Reel, judgings: Sequence[Judging], gallery: Gallery, stop: StopRequest) -> None:
    """One frame of one subject is in a network's process while the one before is measured here, and raw of
    the next frames is made in a thread."""
    with Prefetcher(reel, 0, _AHEAD if reel.whole else _SPREAD_AHEAD) as shots:
        whole: tuple[dict[str, Array], dict[str, FrameValues]] = {}, {}
        for judging, shot, picture in _developed(shots, len(reel), judgings, stop):
            pictures, values = whole
            pictures[judging.label] = picture
            values[judging.label] = judging.measure(shot, picture)
            if judging is judgings[-1]:
                gallery.look(shot, pictures, values)
                whole = {}, {}
    for judging in judgings:
        judging.end()


def _developed(
    shots: Prefetcher[Shot], count: int, judgings: Sequence[Judging], stop: StopRequest
) -> Iterator[tuple[Judging, Shot, Array]]:
    """Each frame by each subject in turn; the next one is in work when one is given."""
    begun: tuple[Judging, Shot] | None = None
    for position in range(count):
        shot = shots(position)
        for judging in judgings:
            check_stop(stop)
            done = None if begun is None else (*begun, begun[0].finish(begun[1]))
            judging.begin(shot)
            begun = judging, shot
            if done is not None:
                yield done
    if begun is not None:
        yield (*begun, begun[0].finish(begun[1]))


class _News:
    """What has come since it was asked last; asked in another thread than the one that judges."""

    def __init__(self, metrics: tuple[str, ...], judgings: Sequence[Judging], frames: int) -> None:
        self._metrics = metrics
        self._judgings = judgings
        self._wanted = frames * len(judgings)
        self._told = [0] * len(judgings)

    def take(self) -> FramesJudged | None:
        """None: nothing."""
        new = {
            judging.label: judging.frames[told : len(judging.frames)]
            for judging, told in zip(self._judgings, self._told, strict=True)
        }
        if not any(new.values()):
            return None
        self._told = [told + len(frames) for told, frames in zip(self._told, new.values(), strict=True)]
        return FramesJudged(
            self._metrics,
            {label: tuple(frames) for label, frames in new.items() if frames},
            sum(self._told),
            self._wanted,
        )

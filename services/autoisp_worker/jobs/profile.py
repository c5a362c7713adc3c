"""Measuring a prototype: what it takes, what it costs, how good it is."""

from __future__ import annotations

from autoisp_isp.prototype import sensor_for

from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import Failure, ProfileJob, PrototypeProfile, Split
from autoisp_worker.jobs.faults import StoppedError, failure_of
from autoisp_worker.jobs.lessons import make_lessons
from autoisp_worker.jobs.subjects import open_prototype
from autoisp_worker.jobs.timing import seconds_per_megapixel
from autoisp_worker.jobs.validation import clips_of, validate
from autoisp_worker.tools import Tools

_TIMING_SHARE = 0.25
"""Of the seconds for the whole profile; the rest goes into quality."""


def profile(job: ProfileJob, tools: Tools, stop: StopRequest) -> PrototypeProfile | Failure:
    """Measure a prototype within about ``tools.profile_seconds``; slow ones on fewer frames.

    If lessons are wanted, it makes them afterwards, for about as long as the job says.

    Raises:
        AutoISPError: transient, or this worker stops; another attempt may succeed.
    """
    try:
        return _profile(job, tools, stop)
    except StoppedError:
        raise
    except Exception as error:
        return failure_of(error)


def _profile(job: ProfileJob, tools: Tools, stop: StopRequest) -> PrototypeProfile:
    prototype = open_prototype(job.prototype, tools.store)
    developer = prototype.developer
    sensor = sensor_for(developer, job.sensor)
    clips = clips_of(tools.store, job.manifest, Split.VALIDATION)
    seconds = seconds_per_megapixel(
        {"prototype": developer},
        tools.frames.frames(clips[0]),
        sensor,
        seconds=_TIMING_SHARE * tools.profile_seconds,
    )["prototype"]
    quality = validate(
        developer,
        clips,
        tools.frames,
        sensor,
        job.seed,
        job.validation_frames_per_clip,
        stop,
        seconds=(1.0 - _TIMING_SHARE) * tools.profile_seconds,
    )
    return PrototypeProfile(
        cost=prototype.cost(seconds),
        quality=quality,
        frames=developer.frames,
        inputs=tuple(developer.inputs),
        lessons=make_lessons(job, developer, sensor, tools, stop),
    )

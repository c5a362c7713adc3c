"""The arithmetic of a worker's jobs; torch and OpenCV are imported with the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import Failure, ProfileJob, PrototypeProfile, TrialJob, TrialResult
from autoisp_worker.domain_conversion import Conversion, ConversionJob
from autoisp_worker.domain_evaluation import ClipResult, EvaluationJob
from autoisp_worker.tools import Tools
from autoisp_worker.usecases import OnFrames, OnProgress

if TYPE_CHECKING:
    from autoisp_worker.jobs.lessons import LessonCache


class LocalJobs:
    """Does jobs in this process; see :class:`autoisp_worker.usecases.Jobs`. For one thread.

    The imports are inside the methods: torch's take seconds, in which a worker had better be ready already.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._lessons: LessonCache | None = None

    def warm_up(self) -> None:
        """Import what the jobs need, for the thread that calls this."""
        from autoisp_worker.jobs import evaluation, profile, trial  # noqa: F401
        from autoisp_worker.jobs.libraries import prepare

        prepare(self._tools.threads)

    def profile(self, job: ProfileJob, stop: StopRequest) -> PrototypeProfile | Failure:
        """Measure a prototype."""
        from autoisp_worker.jobs.profile import profile
        from autoisp_worker.jobs.steps import step

        with step("profile", search=job.search):
            return profile(job, self._tools, stop)

    def trial(self, job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        """Train, export, validate and measure one spec."""
        from autoisp_worker.jobs.lessons import LessonCache
        from autoisp_worker.jobs.trial import run_trial

        self._lessons = self._lessons or LessonCache(self._tools.store)
        return run_trial(job, self._tools, stop, on_progress, self._lessons)

    def judge(self, job: EvaluationJob, stop: StopRequest, on_frames: OnFrames) -> ClipResult:
        """Judge subjects on one clip."""
        from autoisp_worker.jobs.evaluation import judge
        from autoisp_worker.jobs.steps import step

        with step("judge", evaluation=job.evaluation, clip=job.clip.clip, subjects=len(job.subjects)):
            return judge(job, self._tools, stop, on_frames)

    def convert(self, job: ConversionJob, stop: StopRequest) -> Conversion:
        """Make, judge and lint the formats of a model version."""
        from autoisp_worker.jobs.conversion import convert
        from autoisp_worker.jobs.steps import step

        with step("convert", model_version=job.model_version):
            return convert(job, self._tools, stop)

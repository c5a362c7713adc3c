"""The prototype's lessons: made with its profile, read by every trial of the search."""

from __future__ import annotations

import time

import structlog
from autoisp_core.artifact import Artifact
from autoisp_core.errors import FailedPreconditionError
from autoisp_core.sensor import SensorProfile
from autoisp_isp.distillation import FeatureTask
from autoisp_isp.evaluation import Developer
from autoisp_isp.feature_tap import TappedNetwork
from autoisp_isp.lessons import Lessons, load_lessons, save_lessons
from autoisp_isp.recipe import Recipe
from autoisp_isp.taught_set import Batches, TaughtSet
from autoisp_isp.teacher import EDGE, MARGIN, Asker, Question, teach
from autoisp_isp.training_set import EPOCH, MIXED, TrainingSet
from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker import domain
from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import ClipRange, ProfileJob, Split, TrialJob
from autoisp_worker.jobs.faults import check_stop
from autoisp_worker.jobs.real_raw import RealRaw
from autoisp_worker.jobs.validation import clips_of
from autoisp_worker.tools import Tools

_SAFETENSORS = "application/vnd.safetensors"

_log = structlog.get_logger(__name__)


def make_lessons(
    job: ProfileJob, developer: Developer, sensor: SensorProfile, tools: Tools, stop: StopRequest
) -> domain.Lessons | None:
    """Have the prototype develop patches of training raw; None if nobody wants that, or there is none.

    Args:
        job: says on which footage and for how long.
        developer: the prototype.
        sensor: that the search works on.
        tools: the worker's.
        stop: looked at before each patch.

    Raises:
        StoppedError: asked to.
        InvalidArgumentError: the prototype has no such features.
        FailedPreconditionError: the clips are too small for a patch.
        AutoISPError: the clips can't be read.
    """
    askers = _askers(job, developer, sensor, tools) if job.lesson_seconds > 0 else []
    if not askers:
        return None
    begun = time.perf_counter()
    lessons = teach(
        developer,
        askers,
        job.lesson_seconds,
        tap=_tap(job, tools.store),
        before_each=lambda: check_stop(stop),
    )
    file = tools.store.put_bytes(save_lessons(lessons), _SAFETENSORS)
    made = domain.Lessons(file, len(lessons), int(lessons.real.sum()), time.perf_counter() - begun)
    _log.info("the prototype made lessons", count=made.count, real=made.real, seconds=round(made.seconds, 1))
    return made


def taught(job: TrialJob, footage: Batches, lessons: Lessons | None) -> tuple[Batches, FeatureTask | None]:
    """The footage with the lessons among it, and the features to learn beside the picture, if any."""
    if lessons is None:
        return footage, None
    features = job.training.feature_distillation
    return (
        TaughtSet(footage, lessons, job.training.distillation or 0.0),
        FeatureTask(lessons.channels, features.weight) if features and lessons.channels else None,
    )


class LessonCache:
    """The lessons that were read last: all trials of a search have the same. For one thread."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._kept: tuple[str, Lessons] | None = None

    def get(self, file: Artifact | None) -> Lessons | None:
        """The lessons in ``file``; None of none.

        Raises:
            NotFoundError, DataLossError, UnavailableError: they can't be had from the store.
        """
        if file is None:
            return None
        if self._kept is None or self._kept[0] != file.sha256:
            self._kept = (file.sha256, load_lessons(self._store.get_bytes(file)))
        return self._kept[1]


class _Footage:
    """Patches as a training of the footage would see them."""

    def __init__(self, training_set: TrainingSet, seed: int, frames: int) -> None:
        self._set, self._seed, self._frames = training_set, seed, frames

    def __call__(self, number: int) -> Question:
        edge = EDGE + 2 * MARGIN
        # An epoch's first steps show each of its patches once; the others would show them again.
        epoch, index = divmod(number, MIXED)
        step = epoch * EPOCH + index
        batch = self._set.batch(step, seed=self._seed, size=1, patch=edge, frames=self._frames)
        return Question(batch.raw[0], batch.gains[0], batch.ccm[0], batch.noise[0], batch.truth[0])


def _askers(job: ProfileJob, developer: Developer, sensor: SensorProfile, tools: Tools) -> list[Asker]:
    clips = clips_of(tools.store, job.manifest, Split.TRAIN)
    # A recurrent network is trained on its window at several places, one after the other.
    networks = job.lesson_frames + (Recipe().unroll - 1 if job.lesson_unroll else 0)
    frames = max(networks, developer.frames)
    askers: list[Asker] = []
    if job.training.taught_on_real_raw and (real := _real_raw(job, clips, sensor, tools, frames)):
        askers.append(real)
    if job.training.taught_on_truth:
        training_set = TrainingSet(tools.frames.training(clips), sensor)
        askers.append(_Footage(training_set, job.seed, frames))
    return askers


def _real_raw(
    job: ProfileJob, clips: list[ClipRange], sensor: SensorProfile, tools: Tools, frames: int
) -> RealRaw | None:
    edge = EDGE + 2 * MARGIN
    real = RealRaw(tools.store, clips, sensor, edge=edge, frames=frames, seed=job.seed)
    return real if len(real) else None


def _tap(job: ProfileJob, store: ArtifactStore) -> TappedNetwork | None:
    features, onnx = job.training.feature_distillation, job.prototype.onnx
    if features is None:
        return None
    if onnx is None:
        raise FailedPreconditionError(
            f"builtin:{job.prototype.builtin} is no ONNX graph and has no tensor {features.tensor!r}",
            reason="NO_FEATURES",
        )
    return TappedNetwork(store.get_bytes(onnx), features.tensor)

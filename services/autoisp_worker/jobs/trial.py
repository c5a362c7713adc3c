"""One trial: gate, train, export, validate, measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from autoisp_core.errors import AutoISPError, DataLossError
from autoisp_core.spec import Spec
from autoisp_core.spec import cost as analytic_cost
from autoisp_core.spec import validate as validate_spec
from autoisp_isp.augment.settings import AugmentationSettings
from autoisp_isp.checkpoint import Checkpoint, load_checkpoint, load_weights, save_checkpoint, save_weights
from autoisp_isp.execution import Execution
from autoisp_isp.export import export_onnx
from autoisp_isp.inherit import inherited_weights
from autoisp_isp.network import build
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.training import TrainProgress, TrainResult, train
from autoisp_isp.training_set import TrainingSet
from autoisp_runtime.telemetry.metrics import WORKER_TRIALS
from torch import Tensor

from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.domain import (
    ClipRange,
    Cost,
    Failure,
    Split,
    TrialJob,
    TrialProgress,
    TrialResult,
    TrialState,
)
from autoisp_worker.jobs.faults import StoppedError, check_stop, failure_of
from autoisp_worker.jobs.lessons import LessonCache, taught
from autoisp_worker.jobs.policy_log import PolicyLog
from autoisp_worker.jobs.steps import TrainingThroughput, step
from autoisp_worker.jobs.subjects import OpenSubject, open_network
from autoisp_worker.jobs.timing import seconds_per_megapixel, within_limit
from autoisp_worker.jobs.validation import clips_of, validate
from autoisp_worker.tools import Tools
from autoisp_worker.usecases import OnProgress

_TIMING_SECONDS = 0.5
_ONNX, _SAFETENSORS = "application/onnx", "application/vnd.safetensors"

_log = structlog.get_logger(__name__)


def run_trial(
    job: TrialJob, tools: Tools, stop: StopRequest, on_progress: OnProgress, lessons: LessonCache
) -> TrialResult:
    """Run a trial to its end, from its newest checkpoint if there is one.

    Raises:
        AutoISPError: transient, or this worker stops; another attempt may succeed.
    """
    now = datetime.now(UTC)
    empty = TrialResult(job.trial, TrialState.FAILED, tools.worker_id, start_time=now, end_time=now)
    try:
        recipe = Recipe(augmentation=AugmentationSettings(job.training.augmentation))
        throughput = TrainingThroughput(recipe.batch * (2 * recipe.patch) ** 2)
        policies = PolicyLog(job.trial)
        result = _Trial(job, tools, stop, on_progress, lessons, empty, policies, recipe, throughput).run()
    except StoppedError as error:
        result = _stopped(empty, error)
    except Exception as error:
        result = replace(empty, failure=failure_of(error))
    WORKER_TRIALS.labels(result.state.name).inc()
    seconds = round(result.train_seconds, 1)
    _log.info("trial", trial=job.trial, state=result.state.name, steps=result.steps, train_seconds=seconds)
    return replace(result, end_time=datetime.now(UTC))


def _stopped(empty: TrialResult, error: StoppedError) -> TrialResult:
    match error.stop_reason:
        case StopReason.CANCELLED:
            return replace(empty, state=TrialState.CANCELLED)
        case StopReason.TIME_LIMIT:
            message = "the trial took longer than AUTOISP_TRIAL_LIMIT_SECONDS; train less, or raise the limit"
            return replace(empty, failure=Failure("TIME_LIMIT", message))
        case StopReason.SHUTDOWN:
            raise error


@dataclass(frozen=True)
class _Trial:
    job: TrialJob
    tools: Tools
    stop: StopRequest
    on_progress: OnProgress
    lessons: LessonCache
    empty: TrialResult
    policies: PolicyLog
    recipe: Recipe
    throughput: TrainingThroughput

    def run(self) -> TrialResult:
        check_stop(self.stop)
        spec = Spec.from_json(self.job.spec)
        validate_spec(spec)
        over = self._over_budget(spec)
        if over is not None:
            return over
        with step("train", trial=self.job.trial) as span:
            trained = self._train(spec)
            span.set_attribute("autoisp.steps", trained.steps)
        if trained.stopped:
            check_stop(self.stop)
        with step("export"):
            network = build(spec)
            network.load_state_dict(trained.state_dict)
            onnx = export_onnx(network, self._metadata())
            subject = open_network(onnx)
        clips = self._clips(Split.VALIDATION)
        with step("validate", clips=len(clips)):
            quality = validate(
                subject.developer,
                clips,
                self.tools.frames,
                self.job.sensor,
                self.job.validation_seed,
                self.job.validation_frames_per_clip,
                self.stop,
            )
        with step("time"):
            timed = seconds_per_megapixel(
                {"": subject.developer},
                self.tools.frames.frames(clips[0]),
                self.job.sensor,
                seconds=_TIMING_SECONDS,
            )
        with step("upload", bytes=len(onnx)):
            network_file = self.tools.store.put_bytes(onnx, _ONNX)
            weights_file = self.tools.store.put_bytes(save_weights(trained.state_dict), _SAFETENSORS)
        return replace(
            self.empty,
            state=TrialState.SUCCEEDED,
            cost=subject.cost(timed[""]),
            quality=quality,
            onnx=network_file,
            checkpoint=weights_file,
            steps=trained.steps,
            train_seconds=trained.seconds,
        )

    def _over_budget(self, spec: Spec) -> TrialResult | None:
        """The verdict on a spec that is over budget, before any training is spent on it; None: go on."""
        analytic = analytic_cost(spec)
        limit = self.job.macs_per_pixel_limit
        if limit is not None and analytic.macs_per_pixel > limit:
            cost = Cost(analytic.macs_per_pixel, analytic.parameters, 0, 0.0)
            return self._pruned(
                cost, "OVER_MAC_BUDGET", f"{analytic.macs_per_pixel:.0f} MAC per pixel, {limit:.0f} allowed"
            )
        limit = self.job.seconds_per_megapixel_limit
        if limit is None:
            return None
        untrained: OpenSubject = open_network(export_onnx(build(spec)))
        frames = self.tools.frames.frames(self._clips(Split.VALIDATION)[0])
        fits, seconds = within_limit(untrained.developer, frames, self.job.sensor, limit)
        if fits:
            return None
        message = f"{seconds * 1e3:.1f} ms per megapixel, {limit * 1e3:.1f} allowed"
        return self._pruned(untrained.cost(seconds), "OVER_TIME_BUDGET", message)

    def _pruned(self, cost: Cost, reason: str, message: str) -> TrialResult:
        return replace(self.empty, state=TrialState.PRUNED, cost=cost, failure=Failure(reason, message))

    def _train(self, spec: Spec) -> TrainResult:
        job, tools = self.job, self.tools
        footage = tools.frames.training(self._clips(Split.TRAIN))
        resume_from = self._checkpoint(spec)
        batches, features = taught(
            job, TrainingSet(footage, job.sensor, tools.device), self.lessons.get(job.lessons)
        )
        return train(
            spec,
            batches,
            TrainBudget(steps=job.fidelity.steps, seconds=job.fidelity.seconds),
            job.seed,
            tools.device,
            tools.threads,
            recipe=self.recipe,
            execution=Execution(tools.precision, tools.compile, tools.deterministic),
            resume_from=resume_from,
            init_from=self._first_weights(spec) if resume_from is None else None,
            features=features,
            on_progress=self._report,
            on_checkpoint=self._keep,
            checkpoint_seconds=tools.checkpoint_seconds,
            should_stop=lambda: bool(self.stop),
        )

    def _first_weights(self, spec: Spec) -> dict[str, Tensor] | None:
        """Of the same spec at the rung below, of its nearest relative, or None: random ones."""
        job, store = self.job, self.tools.store
        if job.initial_checkpoint is not None:
            return load_weights(store.get_bytes(job.initial_checkpoint))
        if job.inheritance is None:
            return None
        donor = Spec.from_json(job.inheritance.spec)
        validate_spec(donor)
        return inherited_weights(
            spec, donor, load_weights(store.get_bytes(job.inheritance.checkpoint)), job.seed
        )

    def _checkpoint(self, spec: Spec) -> Checkpoint | None:
        data = self.tools.checkpoints.load(self.job.trial)
        if data is None:
            return None
        try:
            checkpoint = load_checkpoint(data)
        except DataLossError as error:
            _log.warning("a checkpoint can't be read; starting anew", trial=self.job.trial, error=str(error))
            return None
        if (checkpoint.spec_json, checkpoint.seed) != (spec.to_json(), self.job.seed):
            _log.warning("a checkpoint is of another training; starting anew", trial=self.job.trial)
            return None
        self.throughput.resumed(checkpoint.step)
        _log.info(
            "resuming", trial=self.job.trial, step=checkpoint.step, seconds=round(checkpoint.seconds, 1)
        )
        return checkpoint

    def _keep(self, checkpoint: Checkpoint) -> None:
        try:
            self.tools.checkpoints.save(self.job.trial, save_checkpoint(checkpoint))
        except AutoISPError as error:
            # The training is worth more than its insurance.
            _log.warning("a checkpoint could not be kept", trial=self.job.trial, error=str(error))

    def _report(self, progress: TrainProgress) -> None:
        self.throughput.reached(progress.step)
        self.policies.note(progress.policy, last=progress.share >= 1.0)
        self.on_progress(TrialProgress(progress.share, progress.step, progress.loss))

    def _clips(self, split: Split) -> list[ClipRange]:
        return clips_of(self.tools.store, self.job.manifest, split)

    def _metadata(self) -> dict[str, str]:
        return {
            "autoisp.task": "raw-video",
            "autoisp.trial": self.job.trial,
            "autoisp.sensor": self.job.sensor.to_json(),
        }

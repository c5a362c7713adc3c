"""Searches, trials and drafts."""

from __future__ import annotations

from autoisp.search.v1 import search_pb2
from autoisp_core.names import search_name, trial_name
from google.protobuf.duration_pb2 import Duration

from autoisp_search.domain import Budget, Rung, Search, SearchView, Trial, TrialResult, TrialState
from autoisp_search.usecases.drafts import SearchDraft, SensorDraft, SpaceDraft
from autoisp_search.wire import common
from autoisp_search.wire.training import training_draft_from, training_to

_LISTS = (
    "types",
    "kernels",
    "widths",
    "repeats",
    "packings",
    "frames",
    "stem_kernels",
    "head_kernels",
    "recurrent",
    "residual",
    "heads",
)


def view_to(view: SearchView) -> search_pb2.Search:
    """Encode a search with its counts."""
    message = search_to(view.search)
    counts = view.counts
    message.trial_counts.CopyFrom(
        search_pb2.TrialCounts(
            queued=counts.queued,
            running=counts.running,
            succeeded=counts.succeeded,
            failed=counts.failed,
            pruned=counts.pruned,
            planned=counts.planned,
        )
    )
    return message


def search_to(search: Search) -> search_pb2.Search:
    """Encode a search."""
    settings = search.settings
    space = settings.space
    return search_pb2.Search(
        name=search.name,
        display_name=settings.display_name,
        dataset=settings.dataset,
        prototype=common.prototype_to(settings.prototype),
        budget=_budget_to(settings.budget),
        sensor=common.sensor_to(settings.sensor),
        strategy=settings.strategy,
        seed=settings.seed,
        rungs=[rung_to(rung) for rung in search.rungs],
        max_parallel_trials=settings.max_parallel_trials,
        max_duration=_duration_to(settings.max_duration_seconds),
        space=search_pb2.SearchSpace(
            max_layers=space.max_layers,
            **{name: [int(value) for value in getattr(space, name)] for name in _LISTS},
        ),
        model=settings.model,
        validation_frames_per_clip=settings.validation_frames_per_clip,
        test_frames_per_clip=settings.test_frames_per_clip,
        gate=settings.gate,
        objectives=[objective.value for objective in settings.objectives],
        max_trials=settings.max_trials or 0,
        warm_start=[search_name(earlier) for earlier in settings.warm_start],
        training=training_to(settings.training),
        state=search_pb2.SearchState.Value(f"SEARCH_STATE_{search.state.value}"),
        failure=common.failure_to(search.failure) if search.failure else None,
        prototype_profile=common.profile_to(search.profile) if search.profile else None,
        macs_per_pixel_limit=search.macs_limit,
        seconds_per_megapixel_limit=search.seconds_limit,
        trial_counts=search_pb2.TrialCounts(planned=search.planned_trials),
        pareto_trials=[trial_name(search.search_id, trial_id) for trial_id in search.pareto_trials],
        best_trial=trial_name(search.search_id, search.best_trial) if search.best_trial else "",
        create_time=common.time_to(search.create_time),
        start_time=common.time_to(search.start_time),
        end_time=common.time_to(search.end_time),
        rung=search.rung,
        etag=str(search.revision),
        strategy_figures=search.strategy_figures,
    )


def rung_to(rung: Rung) -> search_pb2.Rung:
    """Encode a rung."""
    if rung.steps is not None:
        return search_pb2.Rung(trials=rung.trials, steps=rung.steps)
    return search_pb2.Rung(trials=rung.trials, seconds=rung.seconds or 0.0)


def trial_to(trial: Trial) -> search_pb2.Trial:
    """Encode a trial."""
    return search_pb2.Trial(
        name=trial.name,
        state=search_pb2.TrialState.Value(f"TRIAL_STATE_{trial.state.value}"),
        spec=trial.spec,
        spec_hash=trial.spec_hash,
        rung=trial.rung,
        parent=trial_name(trial.search_id, trial.parent) if trial.parent else "",
        inherits_from=trial.inherits_from,
        cost=common.cost_to(trial.cost) if trial.cost else None,
        quality=common.quality_to(trial.quality) if trial.quality else None,
        failure=common.failure_to(trial.failure) if trial.failure else None,
        onnx=common.artifact_to(trial.onnx) if trial.onnx else None,
        checkpoint=common.artifact_to(trial.checkpoint) if trial.checkpoint else None,
        progress=trial.progress,
        steps=trial.steps,
        train_seconds=trial.train_seconds,
        worker=trial.worker,
        create_time=common.time_to(trial.create_time),
        start_time=common.time_to(trial.start_time),
        end_time=common.time_to(trial.end_time),
        predicted_seconds_per_megapixel=trial.predicted_seconds_per_megapixel,
    )


def result_from(message: search_pb2.Trial) -> TrialResult:
    """Decode how a trial ended. A state that is no end is a failure of the worker's.

    Raises:
        InvalidArgumentError: an artifact is none.
    """
    state = TrialState(search_pb2.TrialState.Name(message.state).removeprefix("TRIAL_STATE_"))
    return TrialResult(
        state=state,
        cost=common.cost_from(message.cost) if message.HasField("cost") else None,
        quality=common.quality_from(message.quality) if message.HasField("quality") else None,
        failure=common.failure_from(message.failure) if message.HasField("failure") else None,
        onnx=common.artifact_from(message.onnx, "trial.onnx") if message.HasField("onnx") else None,
        checkpoint=(
            common.artifact_from(message.checkpoint, "trial.checkpoint")
            if message.HasField("checkpoint")
            else None
        ),
        steps=message.steps,
        train_seconds=message.train_seconds,
        worker=message.worker,
        start_time=common.time_from(message.start_time) if message.HasField("start_time") else None,
        end_time=common.time_from(message.end_time) if message.HasField("end_time") else None,
    )


def draft_from(message: search_pb2.Search) -> SearchDraft:
    """Decode what a user asks for; output-only fields are ignored.

    Raises:
        InvalidArgumentError: the prototype's artifact is none.
    """
    sensor, space = message.sensor, message.space
    limit = message.budget.WhichOneof("limit")
    return SearchDraft(
        dataset=message.dataset,
        prototype=common.prototype_from(message.prototype, "search.prototype"),
        budget=Budget(
            reduction=message.budget.reduction if limit == "reduction" else None,
            macs_per_pixel=message.budget.macs_per_pixel if limit == "macs_per_pixel" else None,
        ),
        display_name=message.display_name,
        sensor=SensorDraft(
            builtin=sensor.builtin,
            toml=sensor.toml,
            test_noise=(
                (sensor.test_noise.shot, sensor.test_noise.read) if sensor.HasField("test_noise") else None
            ),
            identity_ccm=sensor.identity_ccm,
        ),
        strategy=message.strategy,
        seed=message.seed,
        rungs=tuple(map(_rung_from, message.rungs)),
        max_parallel_trials=message.max_parallel_trials,
        max_duration_seconds=(
            message.max_duration.ToNanoseconds() / 1e9 if message.HasField("max_duration") else None
        ),
        max_trials=message.max_trials,
        objectives=tuple(message.objectives),
        warm_start=tuple(message.warm_start),
        space=SpaceDraft(
            max_layers=space.max_layers, **{name: tuple(getattr(space, name)) for name in _LISTS}
        ),
        training=training_draft_from(message.training),
        model=message.model,
        validation_frames_per_clip=message.validation_frames_per_clip,
        test_frames_per_clip=(
            message.test_frames_per_clip if message.HasField("test_frames_per_clip") else None
        ),
        gate=message.gate,
    )


def _duration_to(seconds: float | None) -> Duration | None:
    if seconds is None:
        return None
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def _budget_to(budget: Budget) -> search_pb2.Budget:
    if budget.reduction is not None:
        return search_pb2.Budget(reduction=budget.reduction)
    return search_pb2.Budget(macs_per_pixel=budget.macs_per_pixel or 0.0)


def _rung_from(message: search_pb2.Rung) -> Rung:
    fidelity = message.WhichOneof("fidelity")
    return Rung(
        trials=message.trials,
        steps=message.steps if fidelity == "steps" else None,
        seconds=message.seconds if fidelity == "seconds" else None,
    )

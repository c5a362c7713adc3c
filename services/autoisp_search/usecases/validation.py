"""Checking a draft field by field, and filling in the defaults. Every error names the field and the fix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from autoisp_core.errors import InvalidArgumentError, NotFoundError
from autoisp_core.ids import validate_user_id
from autoisp_core.names import DATASET, MODEL, SEARCH, model_name
from autoisp_core.prototypes import BUILTIN_PROTOTYPES
from autoisp_core.quality import Gate
from autoisp_core.sensor import Noise, SensorProfile
from autoisp_core.sensor import builtin as builtin_sensor
from autoisp_core.spec import SearchSpace, cost

from autoisp_search.domain import (
    Budget,
    Objective,
    Prototype,
    Rung,
    SearchSettings,
    Sensor,
)
from autoisp_search.domain.dataset import DatasetInfo
from autoisp_search.strategies import check_strategy
from autoisp_search.usecases.drafts import SearchDraft, SensorDraft
from autoisp_search.usecases.ports import Datasets
from autoisp_search.usecases.validation_space import checked_space, fitting_frames, prefixed
from autoisp_search.usecases.validation_training import checked_training

MAX_REDUCTION = 1e6
MAX_PARALLEL_TRIALS = 1024
MAX_RUNGS = 10
MAX_TRIALS_PER_RUNG = 20_000
MAX_WARM_STARTS = 20
DEFAULT_DURATION_SECONDS = 300.0
DEFAULT_STRATEGY = "predictor"
MAX_DURATION_SECONDS = 30 * 86_400.0
MIN_DURATION_SECONDS = 5.0
MAX_FRAMES_PER_CLIP = 100_000

_Invalid = InvalidArgumentError


def validate_search_id(search_id: str) -> str:
    """The id if a user may choose it."""
    return validate_user_id(search_id, "search_id")


async def validated(
    draft: SearchDraft, search_id: str, datasets: Datasets
) -> tuple[SearchSettings, DatasetInfo]:
    """The settings of a draft, and its dataset.

    Raises:
        InvalidArgumentError: a field is wrong; ``field`` is its path (``search.budget.reduction``).
        NotFoundError: no such dataset.
    """
    settings = _settings(draft, search_id)
    DATASET.parse(draft.dataset, "search.dataset")
    dataset = await datasets.find(draft.dataset)
    if dataset is None:
        raise NotFoundError(
            draft.dataset,
            f"{draft.dataset} does not exist; create it first, or list the datasets to see what there is",
            metadata={"field": "search.dataset"},
        )
    onnx = settings.prototype.onnx
    if onnx is not None and not await datasets.has(onnx):
        raise NotFoundError(
            onnx.uri,
            f"the prototype's ONNX ({onnx.sha256[:12]}…, {onnx.size_bytes} bytes) is not in the artifact "
            "store; upload it with RegistryService.UploadArtifact first",
            metadata={"field": "search.prototype.onnx"},
        )
    return replace(settings, space=fitting_frames(settings.space, dataset)), dataset


def _settings(draft: SearchDraft, search_id: str) -> SearchSettings:
    space = checked_space(draft.space)
    if draft.model:
        MODEL.parse(draft.model, "search.model")
    if len(draft.display_name) > 200:
        raise _Invalid("search.display_name", "search.display_name may have at most 200 characters")
    strategy = draft.strategy or DEFAULT_STRATEGY
    check_strategy(strategy)
    if draft.seed < 0:
        raise _Invalid("search.seed", f"search.seed is {draft.seed}; give 0 or more")
    prototype = _prototype(draft.prototype)
    return SearchSettings(
        dataset=draft.dataset,
        prototype=prototype,
        budget=_budget(draft.budget, space),
        model=draft.model or model_name(search_id),
        display_name=draft.display_name,
        sensor=_sensor(draft.sensor),
        strategy=strategy,
        seed=draft.seed,
        rungs=_rungs(draft),
        max_parallel_trials=_count(
            "search.max_parallel_trials", draft.max_parallel_trials or 2, 1, MAX_PARALLEL_TRIALS
        ),
        max_duration_seconds=_duration(draft),
        max_trials=_max_trials(draft),
        objectives=_objectives(draft.objectives),
        warm_start=_warm_start(draft.warm_start),
        space=space,
        training=checked_training(draft.training, prototype),
        validation_frames_per_clip=_count(
            "search.validation_frames_per_clip",
            draft.validation_frames_per_clip or 8,
            1,
            MAX_FRAMES_PER_CLIP,
        ),
        test_frames_per_clip=_count(
            "search.test_frames_per_clip",
            24 if draft.test_frames_per_clip is None else draft.test_frames_per_clip,
            0,
            MAX_FRAMES_PER_CLIP,
        ),
        gate=_gate(draft.gate),
    )


def _gate(text: str) -> str:
    if text:
        Gate.parse(text, "search.gate").require(("prototype", "model"), "search.gate")
    return text


def _prototype(prototype: Prototype) -> Prototype:
    if not prototype.builtin and prototype.onnx is None:
        raise _Invalid("search.prototype", "say what to replace: set search.prototype.builtin or .onnx")
    if prototype.builtin and prototype.builtin not in BUILTIN_PROTOTYPES:
        raise _Invalid(
            "search.prototype.builtin",
            f"there is no prototype 'builtin:{prototype.builtin}'; use builtin:"
            + " or builtin:".join(BUILTIN_PROTOTYPES),
        )
    return prototype


def _budget(budget: Budget, space: SearchSpace) -> Budget:
    if budget.reduction is not None:
        if not (math.isfinite(budget.reduction) and 1 < budget.reduction <= MAX_REDUCTION):
            raise _Invalid(
                "search.budget.reduction",
                f"a reduction of {budget.reduction:g} is no reduction; give a number above 1, at most "
                f"{MAX_REDUCTION:g}, such as 100",
            )
        return budget
    limit = budget.macs_per_pixel
    if limit is None:
        raise _Invalid("search.budget", "set search.budget.reduction (such as 100) or .macs_per_pixel")
    if not (math.isfinite(limit) and limit > 0):
        raise _Invalid(
            "search.budget.macs_per_pixel", f"{limit:g} MAC per pixel is no budget; give a number above 0"
        )
    cheapest = cost(space.cheapest()).macs_per_pixel
    if limit < cheapest:
        raise _Invalid(
            "search.budget.macs_per_pixel",
            f"no network keeps {limit:g} MAC per pixel: the cheapest of the space takes {cheapest:g}; give "
            "at least that, or allow smaller widths in search.space",
            reason="BUDGET_UNREACHABLE",
            metadata={"cheapest_macs_per_pixel": f"{cheapest:g}"},
        )
    return budget


def _sensor(draft: SensorDraft) -> Sensor:
    if draft.toml:
        try:
            SensorProfile.from_toml(draft.toml)
        except InvalidArgumentError as error:
            raise _Invalid(
                "search.sensor.toml", f"{error.field}: {error.message}", metadata={"key": error.field}
            ) from error
    else:
        with _named("search.sensor.builtin"):
            builtin_sensor(draft.builtin or "phone")
    noise = None
    if draft.test_noise is not None:
        with prefixed("noise.", "search.sensor.test_noise."):
            noise = Noise(*draft.test_noise)
    return Sensor("" if draft.toml else draft.builtin or "phone", draft.toml, noise, draft.identity_ccm)


def _objectives(names: tuple[str, ...]) -> tuple[Objective, ...]:
    known = [objective.value for objective in Objective]
    for index, name in enumerate(names):
        field = f"search.objectives[{index}]"
        if name not in known:
            raise _Invalid(field, f"there is no objective {name!r}; use quality and any of macs and latency")
        if name in names[:index]:
            raise _Invalid(field, f"{name} is given twice; leave one out")
    if names and Objective.QUALITY.value not in names:
        raise _Invalid(
            "search.objectives",
            f"{' and '.join(names)} without quality is best with the cheapest network of all; add quality",
        )
    # In one order, so that what is asked for means the same however it is written.
    return tuple(objective for objective in Objective if objective.value in names) or (Objective.QUALITY,)


def _warm_start(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) > MAX_WARM_STARTS:
        raise _Invalid(
            "search.warm_start", f"{len(names)} searches are too many; give at most {MAX_WARM_STARTS}"
        )
    ids: list[str] = []
    for index, name in enumerate(names):
        field = f"search.warm_start[{index}]"
        (search_id,) = SEARCH.parse(name, field)
        if search_id in ids:
            raise _Invalid(field, f"{name} is given twice; leave one out")
        ids.append(search_id)
    return tuple(ids)


def _max_trials(draft: SearchDraft) -> int | None:
    if draft.max_trials == 0:
        return None
    most = _count("search.max_trials", draft.max_trials, 1, MAX_TRIALS_PER_RUNG)
    if draft.rungs and draft.rungs[0].trials > most:
        raise _Invalid(
            "search.max_trials",
            f"search.max_trials is {most} and the first of search.rungs has {draft.rungs[0].trials} trials; "
            "leave one of the two out",
        )
    return most


def _rungs(draft: SearchDraft) -> tuple[Rung, ...]:
    rungs = draft.rungs
    if len(rungs) > MAX_RUNGS:
        raise _Invalid("search.rungs", f"{len(rungs)} rungs are too many; give at most {MAX_RUNGS}")
    for index, rung in enumerate(rungs):
        field = f"search.rungs[{index}]"
        _count(f"{field}.trials", rung.trials, 1, MAX_TRIALS_PER_RUNG)
        if index and rung.trials > rungs[index - 1].trials:
            raise _Invalid(
                f"{field}.trials",
                f"rung {index} has {rung.trials} trials, more than the {rungs[index - 1].trials} below it "
                "that they come from; give as many or fewer",
            )
        if rung.steps is not None:
            _count(f"{field}.steps", rung.steps, 1, 1_000_000_000)
        elif rung.seconds is not None:
            if not (math.isfinite(rung.seconds) and 0 < rung.seconds <= MAX_DURATION_SECONDS):
                raise _Invalid(
                    f"{field}.seconds",
                    f"{rung.seconds:g} seconds can't be trained; give a number above 0, at most "
                    f"{MAX_DURATION_SECONDS:g}",
                )
        else:
            raise _Invalid(field, f"say how long the trials of rung {index} train: set .steps or .seconds")
    return rungs


def _duration(draft: SearchDraft) -> float | None:
    seconds = draft.max_duration_seconds
    if seconds is None:
        return None if draft.max_trials and not draft.rungs else DEFAULT_DURATION_SECONDS
    if not MIN_DURATION_SECONDS <= seconds <= MAX_DURATION_SECONDS:
        raise _Invalid(
            "search.max_duration",
            f"{seconds:g} seconds can't be planned; give {MIN_DURATION_SECONDS:g} to "
            f"{MAX_DURATION_SECONDS:g}",
        )
    return seconds


def _count(field: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise _Invalid(field, f"{field} is {value}; give {low} to {high}")
    return value


@contextmanager
def _named(field: str) -> Iterator[None]:
    try:
        yield
    except InvalidArgumentError as error:
        raise _Invalid(field, error.message, reason=error.reason) from error

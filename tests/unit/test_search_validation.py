"""Every wrong field of a search is named, with the fix."""

import math
from dataclasses import replace

import pytest
from autoisp_core.errors import InvalidArgumentError, NotFoundError
from autoisp_core.spec import SearchSpace, cost
from autoisp_search.domain import Budget, Objective, Prototype, Rung
from autoisp_search.domain.dataset import DatasetInfo
from autoisp_search.usecases.drafts import SensorDraft, SpaceDraft
from autoisp_search.usecases.validation import validated
from search_fakes import FakeDatasets, artifact, draft

DATASETS = FakeDatasets(artifacts=[artifact("prototype")])

WRONG = [
    ({"dataset": ""}, "search.dataset", "datasets/"),
    ({"dataset": "clips/c"}, "search.dataset", "datasets/"),
    ({"prototype": Prototype()}, "search.prototype", "builtin"),
    ({"prototype": Prototype(builtin="magic")}, "search.prototype.builtin", "classical"),
    ({"budget": Budget()}, "search.budget", "reduction"),
    ({"budget": Budget(reduction=1.0)}, "search.budget.reduction", "above 1"),
    ({"budget": Budget(reduction=0.5)}, "search.budget.reduction", "above 1"),
    ({"budget": Budget(reduction=-100.0)}, "search.budget.reduction", "above 1"),
    ({"budget": Budget(reduction=math.nan)}, "search.budget.reduction", "above 1"),
    ({"budget": Budget(reduction=math.inf)}, "search.budget.reduction", "above 1"),
    ({"budget": Budget(macs_per_pixel=0.0)}, "search.budget.macs_per_pixel", "above 0"),
    ({"budget": Budget(macs_per_pixel=math.nan)}, "search.budget.macs_per_pixel", "above 0"),
    ({"budget": Budget(macs_per_pixel=-3.0)}, "search.budget.macs_per_pixel", "above 0"),
    ({"budget": Budget(macs_per_pixel=10.0)}, "search.budget.macs_per_pixel", "cheapest"),
    ({"strategy": "luck"}, "search.strategy", "evolution"),
    ({"objectives": ("beauty",)}, "search.objectives[0]", "quality"),
    ({"objectives": ("quality", "macs", "quality")}, "search.objectives[2]", "twice"),
    ({"objectives": ("macs", "latency")}, "search.objectives", "add quality"),
    ({"max_trials": -1}, "search.max_trials", "1 to"),
    ({"max_trials": 1_000_000}, "search.max_trials", "1 to"),
    ({"max_trials": 5, "rungs": (Rung(6, steps=1),)}, "search.max_trials", "search.rungs"),
    ({"warm_start": ("datasets/d",)}, "search.warm_start[0]", "searches/"),
    ({"warm_start": ("searches/a", "searches/b", "searches/a")}, "search.warm_start[2]", "twice"),
    ({"warm_start": tuple(f"searches/s{n}" for n in range(21))}, "search.warm_start", "at most 20"),
    ({"seed": -1}, "search.seed", "0 or more"),
    ({"model": "models/No Good"}, "search.model", "models/"),
    ({"display_name": "x" * 201}, "search.display_name", "200"),
    ({"rungs": (Rung(0, steps=1),)}, "search.rungs[0].trials", "1 to"),
    ({"rungs": (Rung(2, steps=1), Rung(3, steps=1))}, "search.rungs[1].trials", "fewer"),
    ({"rungs": (Rung(2),)}, "search.rungs[0]", ".seconds"),
    ({"rungs": (Rung(2, steps=-1),)}, "search.rungs[0].steps", "1 to"),
    ({"rungs": (Rung(2, seconds=math.nan),)}, "search.rungs[0].seconds", "above 0"),
    ({"rungs": (Rung(1, steps=1),) * 11}, "search.rungs", "at most 10"),
    ({"max_parallel_trials": -1}, "search.max_parallel_trials", "1 to"),
    ({"max_parallel_trials": 10_000}, "search.max_parallel_trials", "1 to"),
    ({"max_duration_seconds": 0.0}, "search.max_duration", "5"),
    ({"max_duration_seconds": -5.0}, "search.max_duration", "5"),
    ({"validation_frames_per_clip": -1}, "search.validation_frames_per_clip", "1 to"),
    ({"test_frames_per_clip": -1}, "search.test_frames_per_clip", "0 to"),
    ({"space": SpaceDraft(types=(99,))}, "search.space.types", "99"),
    ({"space": SpaceDraft(types=(5,))}, "search.space.types", "CONV"),
    ({"space": SpaceDraft(kernels=(2,))}, "search.space.kernels", "1, 3, 5"),
    ({"space": SpaceDraft(max_layers=99)}, "search.space.max_layers", "22"),
    ({"space": SpaceDraft(widths=(-4,))}, "search.space.widths", "or more"),
    ({"space": SpaceDraft(widths=(100_000,))}, "search.space.widths", "1024"),
    ({"space": SpaceDraft(repeats=tuple(range(1, 66)))}, "search.space.repeats", "at most 64"),
    ({"space": SpaceDraft(packings=(3,))}, "search.space.packings", "2, 4"),
    ({"space": SpaceDraft(frames=(2,))}, "search.space.frames", "1, 3, 5"),
    ({"space": SpaceDraft(stem_kernels=(2,))}, "search.space.stem_kernels", "1, 3"),
    ({"space": SpaceDraft(recurrent=(2,))}, "search.space.recurrent", "0, 1"),
    ({"space": SpaceDraft(residual=(-1,))}, "search.space.residual", "0, 1"),
    ({"space": SpaceDraft(heads=(0, 9))}, "search.space.heads", "0, 1"),
    ({"sensor": SensorDraft(builtin="eye")}, "search.sensor.builtin", "phone"),
    ({"gate": "check"}, "search.gate", "TOML"),
    ({"gate": '[[check]]\nmetric = "beauty"\nat_least = 1'}, "search.gate", "psnr"),
    ({"gate": 'subject = "me"\n[[check]]\nmetric = "psnr"\nat_least = 1'}, "search.gate", "prototype, model"),
    ({"sensor": SensorDraft(toml="name = 3")}, "search.sensor.toml", "sensor.name"),
    ({"sensor": SensorDraft(toml="name = 'a'\ncolour = 1")}, "search.sensor.toml", "sensor.colour"),
    ({"sensor": SensorDraft(toml="not toml")}, "search.sensor.toml", "TOML"),
    ({"sensor": SensorDraft(test_noise=(-1.0, 0.0))}, "search.sensor.test_noise.shot", "[0, 1]"),
    ({"sensor": SensorDraft(test_noise=(0.0, math.nan))}, "search.sensor.test_noise.read", "[0, 1]"),
]


@pytest.mark.parametrize(("changes", "field", "fix"), WRONG)
async def test_wrong_fields_are_named(changes: dict[str, object], field: str, fix: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await validated(draft(**changes), "s", DATASETS)
    assert caught.value.field == field
    assert fix in caught.value.message


async def test_a_gate_is_kept_as_it_is() -> None:
    gate = '[[check]]\nmetric = "ssim"\nnot_worse_than_baseline_by = 0.01'
    settings, _ = await validated(draft(gate=gate), "s", DATASETS)
    assert settings.gate == gate
    assert draft(gate=gate).fingerprint() != draft().fingerprint()


async def test_an_unknown_dataset_is_not_found() -> None:
    with pytest.raises(NotFoundError) as caught:
        await validated(draft(dataset="datasets/none"), "s", DATASETS)
    assert caught.value.metadata == {"field": "search.dataset", "resource": "datasets/none"}


async def test_a_prototype_that_was_not_uploaded_is_not_found() -> None:
    known = Prototype(onnx=artifact("prototype"))
    assert (await validated(draft(prototype=known), "s", DATASETS))[0].prototype == known
    with pytest.raises(NotFoundError) as caught:
        await validated(draft(prototype=Prototype(onnx=artifact("other"))), "s", DATASETS)
    assert caught.value.metadata["field"] == "search.prototype.onnx"


@pytest.mark.parametrize("split", ["train_frames", "validation_frames", "test_frames"])
async def test_a_dataset_without_a_split_is_refused(split: str) -> None:
    info = replace(DATASETS.info, **{split: ()})
    with pytest.raises(InvalidArgumentError) as caught:
        await validated(draft(), "s", FakeDatasets(info))
    assert caught.value.field == "search.dataset"


async def test_windows_longer_than_any_clip_are_not_searched() -> None:
    short = FakeDatasets(DatasetInfo(artifact("manifest"), (40, 4), (3,), (9,)))
    settings, _ = await validated(draft(), "s", short)
    assert settings.space.frames == (1, 3)
    with pytest.raises(InvalidArgumentError) as caught:
        await validated(draft(space=SpaceDraft(frames=(5,))), "s", short)
    assert caught.value.field == "search.dataset"
    assert "search.space.frames" in caught.value.message


async def test_defaults_are_filled_in() -> None:
    settings, dataset = await validated(draft(strategy=""), "mine", DATASETS)
    assert settings.model == "models/mine"
    assert settings.strategy == "predictor"
    assert settings.objectives == (Objective.QUALITY,)
    assert (settings.max_trials, settings.warm_start) == (None, ())
    assert settings.sensor.builtin == "phone"
    assert (settings.max_parallel_trials, settings.max_duration_seconds) == (2, 300.0)
    assert (settings.validation_frames_per_clip, settings.test_frames_per_clip) == (8, 24)
    assert settings.space == SearchSpace()
    assert dataset is DATASETS.info


async def test_an_absolute_budget_is_checked_against_the_space_that_was_asked_for() -> None:
    space = SpaceDraft(types=(1, 7), widths=(64,), repeats=(6,))
    cheapest = cost(SearchSpace(types=(1,), widths=(64,), repeats=(6,)).cheapest()).macs_per_pixel  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError) as caught:
        await validated(draft(space=space, budget=Budget(macs_per_pixel=cheapest - 1)), "s", DATASETS)
    assert f"{cheapest:g}" in caught.value.message
    settings, _ = await validated(
        draft(space=space, budget=Budget(macs_per_pixel=cheapest + 1)), "s", DATASETS
    )
    assert settings.space.widths == (64,)


async def test_objectives_mean_the_same_in_any_order() -> None:
    settings, _ = await validated(draft(objectives=("latency", "quality")), "s", DATASETS)
    assert settings.objectives == (Objective.QUALITY, Objective.LATENCY)


async def test_a_number_of_trials_takes_the_place_of_the_clock() -> None:
    settings, _ = await validated(draft(max_trials=9), "s", DATASETS)
    assert (settings.max_trials, settings.max_duration_seconds) == (9, None)
    both, _ = await validated(draft(max_trials=9, max_duration_seconds=60.0), "s", DATASETS)
    assert (both.max_trials, both.max_duration_seconds) == (9, 60.0)
    # What a search shows of itself may be asked for again.
    again, _ = await validated(draft(max_trials=9, rungs=(Rung(9, seconds=12.0),)), "s", DATASETS)
    assert again.rungs == (Rung(9, seconds=12.0),)

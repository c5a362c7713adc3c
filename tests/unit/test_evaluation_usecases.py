"""The evaluation service's use cases, with fakes around."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, UnavailableError
from autoisp_core.noise import Noise
from autoisp_evaluation.domain import ModelVersion, Prototype, Sensor, Split, State, Subject
from autoisp_evaluation.usecases.ports import EvaluationCancelled, EvaluationEnded, JudgeClip
from evaluation_fakes import RECORD, SUBJECTS, World, artifact, completed_search, draft, entry, result

GOOD = {"prototype": [20.0], "model": [30.0]}


@pytest.fixture
def world() -> World:
    return World()


async def test_create_sends_one_command_per_clip(world: World) -> None:
    created = await world.evaluations.create(draft(), "mine")
    assert created.name == "evaluations/mine"
    assert created.state is State.RUNNING
    assert [clip.clip for clip in created.clips] == ["clips/c1", "clips/c2"]
    assert [m.entry for m in world.store.sent if isinstance(m, JudgeClip)] == [entry(1), entry(2)]
    assert await world.evaluations.get("evaluations/mine") == created


async def test_create_makes_up_a_name(world: World) -> None:
    first, second = await world.evaluations.create(draft()), await world.evaluations.create(draft())
    assert first.name != second.name


async def test_the_same_request_creates_once(world: World) -> None:
    first = await world.evaluations.create(draft(), request_id="r")
    assert await world.evaluations.create(draft(seed=9), request_id="r") == first
    assert len(world.store.sent) == 2


async def test_the_same_request_twice_at_once_creates_once(world: World) -> None:
    first = await world.evaluations.create(draft(), request_id="r")
    world.store.taken_once = "request/r"
    assert await world.evaluations.create(draft(), request_id="r") == first
    assert len(world.store.sent) == 2


async def test_a_taken_id_is_refused(world: World) -> None:
    await world.evaluations.create(draft(), "mine")
    with pytest.raises(AlreadyExistsError):
        await world.evaluations.create(draft(), "mine")


GATE = '[[check]]\nmetric = "delta_e2000"\nnot_worse_than_baseline_by = 0.1'
MOVING = '[[check]]\nmetric = "flicker"\nat_most = 3'


def version(name: str) -> Subject:
    return Subject("model", ModelVersion(name))


TWICE = (SUBJECTS[0], SUBJECTS[0])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": ""}, "evaluation.dataset"),
        ({"dataset": "clips/c"}, "evaluation.dataset"),
        ({"split": None}, "evaluation.split"),
        ({"split": Split.TRAIN}, "evaluation.split"),
        ({"subjects": ()}, "evaluation.subjects"),
        ({"subjects": SUBJECTS * 9}, "evaluation.subjects"),
        ({"subjects": TWICE}, "evaluation.subjects[1].label"),
        ({"subjects": (Subject("", artifact()),)}, "evaluation.subjects[0].label"),
        ({"subjects": (Subject("truth", artifact()),)}, "evaluation.subjects[0].label"),
        ({"subjects": (Subject("x", Prototype()),)}, "evaluation.subjects[0].prototype"),
        ({"subjects": (Subject("x", Prototype("clasical")),)}, "evaluation.subjects[0].prototype.builtin"),
        ({"frames_per_clip": -1}, "evaluation.frames_per_clip"),
        ({"sensor": Sensor("nokia")}, "evaluation.sensor.builtin"),
        ({"sensor": Sensor(toml="name = ")}, "evaluation.sensor.toml"),
        ({"sensor": Sensor(toml="#" * 70_000)}, "evaluation.sensor.toml"),
        ({"search": "s"}, "evaluation.search"),
        ({"trial": "searches/s"}, "evaluation.trial"),
        ({"metrics": ("psnr", "beauty")}, "evaluation.metrics"),
        ({"gate": "[[check]]"}, "evaluation.gate"),
        ({"gate": "not toml"}, "evaluation.gate"),
        ({"gate": 'subject = "other"\n' + GATE}, "evaluation.gate"),
        ({"gate": GATE, "subjects": (Subject("model", artifact(1)),)}, "evaluation.gate"),
        ({"gate": MOVING, "frames_per_clip": 2}, "evaluation.frames_per_clip"),
        ({"subjects": (version("models/m"),)}, "evaluation.subjects[0].model_version"),
        ({"subjects": (version("models/m/versions/champion"),)}, "evaluation.subjects[0].model_version"),
        ({"subjects": (version("models/m/versions/latest"),)}, "evaluation.subjects[0].model_version"),
        ({"subjects": (version("models/m/versions/03"),)}, "evaluation.subjects[0].model_version"),
    ],
)
async def test_bad_requests_name_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await world.evaluations.create(draft(**changes))
    assert caught.value.field == field
    assert world.store.rows == {}
    assert world.store.sent == []


@pytest.mark.parametrize(
    ("evaluation_id", "request_id", "field"),
    [
        ("Upper", "", "evaluation_id"),
        ("1", "", "evaluation_id"),
        ("", "é", "request_id"),
        ("", "x" * 129, "request_id"),
    ],
)
async def test_bad_ids_name_the_field(world: World, evaluation_id: str, request_id: str, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await world.evaluations.create(draft(), evaluation_id, request_id)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": "datasets/other"}, "evaluation.dataset"),
        ({"subjects": (Subject("m", artifact(2)),)}, "evaluation.subjects[0].onnx"),
        (
            {"subjects": (SUBJECTS[1], Subject("p", Prototype(onnx=artifact(2))))},
            "evaluation.subjects[1].prototype.onnx",
        ),
        ({"subjects": (version("models/m/versions/4"),)}, "evaluation.subjects[0].model_version"),
    ],
)
async def test_what_is_missing_is_named(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        await world.evaluations.create(draft(**changes))
    assert caught.value.metadata["field"] == field


async def test_more_frames_than_a_message_holds_are_refused_with_a_number_that_fits(world: World) -> None:
    world.datasets.splits[Split.TEST] = [entry(1, 60_000), entry(2, 10)]
    with pytest.raises(InvalidArgumentError) as caught:
        await world.evaluations.create(draft())
    assert caught.value.field == "evaluation.frames_per_clip"
    (largest,) = map(int, re.findall(r"frames_per_clip of (\d+) or less", caught.value.message))
    assert await world.evaluations.create(draft(frames_per_clip=largest))
    with pytest.raises(InvalidArgumentError):
        await world.evaluations.create(draft(frames_per_clip=largest + 1))


async def test_metrics_are_those_asked_for_and_those_of_the_gate(world: World) -> None:
    plain = await world.evaluations.create(draft())
    assert plain.metrics == ("psnr", "ssim")
    asked = await world.evaluations.create(draft(metrics=("tof", "psnr", "tof"), gate=GATE))
    assert asked.metrics == ("psnr", "ssim", "delta_e2000", "tof")
    assert asked.gate == GATE
    assert asked.clips[0].frames_wanted == 20


async def test_a_model_version_is_judged_by_its_file(world: World) -> None:
    created = await world.evaluations.create(draft(subjects=(version("models/m/versions/3"),)))
    assert created.subjects == (Subject("model", ModelVersion("models/m/versions/3", artifact(1))),)
    world.artifacts.stored.clear()
    with pytest.raises(NotFoundError) as caught:
        await world.evaluations.create(draft(subjects=(version("models/m/versions/3"),)))
    assert caught.value.reason == "NO_ARTIFACT"


async def test_more_results_than_a_message_holds_are_refused_whatever_the_frames(world: World) -> None:
    world.datasets.splits[Split.TEST] = [entry(number) for number in range(2000)]
    with pytest.raises(InvalidArgumentError) as caught:
        await world.evaluations.create(draft())
    assert caught.value.reason == "TOO_MANY_RESULTS"
    assert (await world.evaluations.judge_search(completed_search())).frames_per_clip == 1


async def test_cancelling_ends_it_once_and_late_results_are_dropped(world: World) -> None:
    created = await world.evaluations.create(draft(), "mine")
    await world.evaluations.record(created.name, result("clips/c1", GOOD))
    world.store.sent.clear()
    cancelled = await world.evaluations.cancel(created.name)
    assert cancelled.state is State.CANCELLED
    assert [clip.state for clip in cancelled.clips] == [State.SUCCEEDED, State.CANCELLED]
    assert world.store.sent == [EvaluationCancelled(cancelled)]
    assert await world.evaluations.cancel(created.name) == cancelled
    await world.evaluations.record(created.name, result("clips/c2", GOOD))
    assert await world.evaluations.get(created.name) == cancelled
    assert len(world.store.sent) == 1
    for name, kind in (("evaluations/none", NotFoundError), ("e", InvalidArgumentError)):
        with pytest.raises(kind):
            await world.evaluations.cancel(name)


async def test_what_has_ended_cannot_be_cancelled(world: World) -> None:
    created = await world.evaluations.create(draft(), "mine")
    for clip in ("clips/c1", "clips/c2"):
        await world.evaluations.record(created.name, result(clip, GOOD))
    world.store.sent.clear()
    assert (await world.evaluations.cancel(created.name)).state is State.SUCCEEDED
    assert world.store.sent == []


async def test_a_result_that_was_overtaken_is_taken_in_after_the_other(world: World) -> None:
    created = await world.evaluations.create(draft(), "mine")
    world.store.overtaken_by = created.judged(result("clips/c2", GOOD), created.create_time)
    world.store.sent.clear()
    await world.evaluations.record(created.name, result("clips/c1", GOOD))
    ended = await world.evaluations.get(created.name)
    assert [clip.state for clip in ended.clips] == [State.SUCCEEDED, State.SUCCEEDED]
    assert world.store.sent == [EvaluationEnded(ended, RECORD)]


async def test_a_searchs_gate_decides_what_is_measured(world: World) -> None:
    judged = await world.evaluations.judge_search(completed_search(gate=GATE))
    assert judged.gate == GATE
    assert judged.metrics == ("psnr", "ssim", "delta_e2000")


async def test_a_searchs_gate_from_frame_to_frame_takes_all_frames(world: World) -> None:
    judged = await world.evaluations.judge_search(completed_search(gate=MOVING, frames_per_clip=2))
    assert (judged.frames_per_clip, judged.metrics) == (0, ("psnr", "ssim", "flicker"))


async def test_a_search_is_judged_on_the_test_split(world: World) -> None:
    search = completed_search(sensor=Sensor("phone", test_noise=Noise(0.01, 0.0005), identity_ccm=True))
    judged = await world.evaluations.judge_search(search)
    assert judged.name == "evaluations/s"
    assert judged.split is Split.TEST
    assert judged.subjects == SUBJECTS
    assert (judged.sensor, judged.seed, judged.frames_per_clip) == (search.sensor, 5, 24)
    assert (judged.search, judged.trial) == ("searches/s", "searches/s/trials/t")
    assert judged.registration == search.registration
    assert len(world.store.sent) == 2


async def test_a_search_is_judged_once(world: World) -> None:
    first = await world.evaluations.judge_search(completed_search())
    assert await world.evaluations.judge_search(completed_search()) == first
    assert len(world.store.sent) == 2


async def test_a_search_whose_evaluation_name_is_taken_is_judged_under_another(world: World) -> None:
    await world.evaluations.create(draft(), "s")
    judged = await world.evaluations.judge_search(completed_search())
    assert judged.name.startswith("evaluations/s-")
    assert await world.evaluations.judge_search(completed_search()) == judged


async def test_a_search_that_cannot_be_judged_gives_a_failed_evaluation(world: World) -> None:
    world.datasets.gone = True
    judged = await world.evaluations.judge_search(completed_search())
    assert judged.state is State.FAILED
    assert judged.failure is not None
    assert judged.failure.reason == "NOT_FOUND"
    assert world.store.sent == [EvaluationEnded(judged)]


async def test_a_search_with_too_many_test_frames_is_judged_on_fewer(world: World) -> None:
    world.datasets.splits[Split.TEST] = [entry(1, 90_000)]
    judged = await world.evaluations.judge_search(completed_search(frames_per_clip=0))
    assert judged.state is State.RUNNING
    assert 10_000 < judged.frames_per_clip < 20_000


async def test_the_last_clip_ends_the_evaluation(world: World) -> None:
    await world.evaluations.judge_search(completed_search())
    world.store.sent.clear()
    await world.evaluations.record("evaluations/s", result("clips/c1", GOOD))
    assert world.store.sent == []
    await world.evaluations.record("evaluations/s", result("clips/c2", GOOD))
    ended = await world.evaluations.get("evaluations/s")
    assert ended.state is State.SUCCEEDED
    assert world.store.sent == [EvaluationEnded(ended, RECORD)]


async def test_results_that_come_twice_count_once(world: World) -> None:
    await world.evaluations.judge_search(completed_search())
    world.store.sent.clear()
    for clip in ("clips/c1", "clips/c1", "clips/c2", "clips/c2", "clips/c1"):
        await world.evaluations.record("evaluations/s", result(clip, GOOD))
    assert len(world.store.sent) == 1


async def test_a_result_for_nobody_is_not_found(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.evaluations.record("evaluations/none", result("clips/c1", GOOD))


async def test_watch_begins_with_a_snapshot_and_ends_with_the_final_state(world: World) -> None:
    await world.evaluations.create(draft(), "mine")
    seen = []

    async def watch() -> None:
        async for snapshot in world.watching.watch("evaluations/mine"):
            seen.append([clip.state for clip in snapshot.clips])

    task = asyncio.create_task(watch())
    for clip in ("clips/c1", "clips/c2"):
        await asyncio.sleep(0.01)
        await world.evaluations.record("evaluations/mine", result(clip, GOOD))
    await asyncio.wait_for(task, 0.5)
    running, done = State.RUNNING, State.SUCCEEDED
    assert seen == [[running, running], [done, running], [done, done]]


async def test_watch_sees_what_another_process_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoisp_evaluation.usecases.watching.POLL_S", 0.01)
    created = await world.evaluations.create(draft(), "mine")
    watching = world.watching.watch("evaluations/mine")
    assert await anext(watching) == created
    after = created.judged(result("clips/c1", GOOD), created.create_time)
    assert after is not None
    world.store.rows[created.name] = after
    assert await asyncio.wait_for(anext(watching), 1) == after
    await watching.aclose()  # type: ignore[attr-defined]


async def test_watches_end_when_the_process_stops(world: World) -> None:
    created = await world.evaluations.create(draft(), "mine")
    watching = world.watching.watch(created.name)
    assert await anext(watching) == created
    waiting = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0.01)
    world.watching.stop()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(waiting, 0.5)


async def test_watch_of_something_that_ended_is_one_snapshot(world: World) -> None:
    created = await world.evaluations.create(draft(), "mine")
    world.store.rows[created.name] = replace(created, state=State.FAILED)
    assert len([snapshot async for snapshot in world.watching.watch(created.name)]) == 1


@pytest.mark.parametrize(("name", "kind"), [("evaluations/none", NotFoundError), ("e", InvalidArgumentError)])
async def test_get_and_watch_what_is_not_there(world: World, name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await world.evaluations.get(name)
    with pytest.raises(kind):
        await anext(world.watching.watch(name))


async def test_list_checks_its_arguments(world: World) -> None:
    for arguments in ((-1, "", ""), (0, "junk", ""), (0, "", "e")):
        with pytest.raises(InvalidArgumentError):
            await world.evaluations.list(*arguments)

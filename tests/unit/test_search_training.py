"""How networks are trained, as a search keeps and commands it: choices, lessons, inheritance."""

import math
from dataclasses import replace
from typing import Any

import pytest
from autoisp.events.v1 import commands_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec, kinship
from autoisp_core.training import Augmentation, FeatureDistillation, Training
from autoisp_search.board import Board
from autoisp_search.domain import (
    Lessons,
    ProfilePrototype,
    Prototype,
    Quality,
    Rung,
    RunTrial,
    Trial,
    TrialState,
)
from autoisp_search.donors import LEAST_SHARE, Donors
from autoisp_search.plan import lesson_seconds
from autoisp_search.store.documents import search_document, search_from, trial_document, trial_from
from autoisp_search.usecases.drafts import TrainingDraft
from autoisp_search.usecases.live import LiveSearch
from autoisp_search.usecases.validation import validated
from autoisp_search.wire.common import profile_from, profile_to
from autoisp_search.wire.messages import sendable
from autoisp_search.wire.searches import draft_from, search_to, trial_to
from search_fakes import (
    OPAQUE,
    START,
    FakeClock,
    FakeDatasets,
    FakeStore,
    FakeWorker,
    Service,
    artifact,
    draft,
    run_to_end,
    running_search,
)

ONNX = Prototype(onnx=artifact("prototype"))
DATASETS = FakeDatasets(artifacts=[artifact("prototype")])
FEATURES = FeatureDistillation("/body/Relu:0", 0.25)
EVERYTHING = Training(Augmentation.ADVERSARIAL, 0.5, FEATURES, inherit_weights=True)
RUNGS = (Rung(8, steps=10), Rung(2, steps=20))
PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)


def trial(spec: Spec, name: str, *, rung: int = 0, psnr: float = 25.0, **changes: Any) -> Trial:
    done = Trial("s", rung, int(name), spec.to_json(), f"hash {spec.to_json()}", START)
    return replace(
        done,
        state=TrialState.SUCCEEDED,
        quality=Quality(psnr, 0.9),
        checkpoint=artifact(f"weights {name}"),
        **changes,
    )


async def checked(**changes: Any) -> Training:
    settings, _ = await validated(draft(prototype=ONNX, training=TrainingDraft(**changes)), "s", DATASETS)
    return settings.training


async def test_what_is_left_open_takes_its_default() -> None:
    assert await checked() == Training()
    given = await checked(
        augmentation="random", distillation=0.0, feature_distillation=("t", 1.0), inherit_weights=True
    )
    assert given == Training(Augmentation.RANDOM, 0.0, FeatureDistillation("t", 1.0), True)


@pytest.mark.parametrize(
    ("changes", "field", "fix"),
    [
        ({"augmentation": "wild"}, "augmentation", "adversarial"),
        ({"augmentation": "7"}, "augmentation", "adversarial"),
        ({"distillation": -0.1}, "distillation", "0 (none) to 1"),
        ({"distillation": 1.5}, "distillation", "0 (none) to 1"),
        ({"distillation": math.nan}, "distillation", "0 (none) to 1"),
        ({"feature_distillation": ("", 1.0)}, "feature_distillation.tensor", "name a tensor"),
        ({"feature_distillation": ("x" * 501, 1.0)}, "feature_distillation.tensor", "500"),
        ({"feature_distillation": ("t", 0.0)}, "feature_distillation.weight", "above 0"),
        ({"feature_distillation": ("t", math.inf)}, "feature_distillation.weight", "at most"),
    ],
)
async def test_a_wrong_choice_is_named(changes: dict[str, Any], field: str, fix: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await checked(**changes)
    assert caught.value.field == f"search.training.{field}"
    assert fix in caught.value.message


def test_no_distillation_means_none_on_real_raw_whatever_else_is_taught() -> None:
    for training, truth, real in (
        (Training(), False, True),
        (Training(distillation=0.0), False, False),
        (Training(distillation=0.5), True, True),
        (Training(feature_distillation=FEATURES), True, True),
        (Training(distillation=0.0, feature_distillation=FEATURES), True, False),
    ):
        assert (training.taught_on_truth, training.taught_on_real_raw) == (truth, real)


async def test_a_builtin_prototype_has_no_features() -> None:
    wanted = draft(training=TrainingDraft(feature_distillation=("t", 1.0)))
    with pytest.raises(InvalidArgumentError) as caught:
        await validated(wanted, "s", DATASETS)
    assert caught.value.field == "search.training.feature_distillation"


@pytest.mark.parametrize("training", [Training(), EVERYTHING, Training(distillation=0.0)])
async def test_choices_survive_the_wire_and_the_database(training: Training) -> None:
    search = running_search(prototype=ONNX, training=training)
    again, _ = await validated(draft_from(search_to(search)), "s", DATASETS)
    assert again.training == training
    assert search_from(search_document(search)) == search


def test_what_was_written_before_there_was_a_choice_is_read() -> None:
    document = search_document(running_search())
    del document["settings"]["training"], document["profile"]["lessons"]
    assert search_from(document).settings.training == Training()
    row = trial_document(trial(PLAIN, "1"))
    del row["inherits_from"]
    assert trial_from(row).inherits_from == ""
    # The same request as before an update finds its search again.
    assert draft().fingerprint() != draft(training=TrainingDraft(distillation=0.0)).fingerprint()
    assert draft(training=TrainingDraft()).fingerprint() == draft().fingerprint()


def test_an_unknown_code_is_refused_rather_than_ignored() -> None:
    message = search_to(running_search())
    message.training.augmentation = 9  # type: ignore[assignment]
    assert draft_from(message).training.augmentation == "9"


@pytest.mark.parametrize(
    ("training", "duration", "seconds"),
    [
        (Training(), 300.0, 30.0),
        (Training(), 10.0, 5.0),
        (Training(distillation=1.0), 36_000.0, 120.0),
        (Training(), None, 20.0),
        (Training(distillation=0.0), 300.0, 0.0),
        (Training(distillation=0.0, feature_distillation=FEATURES), 300.0, 30.0),
    ],
)
def test_lessons_take_a_small_part_of_the_time(
    training: Training, duration: float | None, seconds: float
) -> None:
    search = running_search(training=training, max_duration_seconds=duration, max_trials=4)
    assert lesson_seconds(search.settings) == seconds
    command = commands_pb2.ProfilePrototype.FromString(sendable(ProfilePrototype(search)).payload)
    assert command.lesson_seconds == seconds
    assert command.lesson_frames == max(search.settings.space.frames)
    assert command.lesson_unroll == (1 in search.settings.space.recurrent)


def test_a_users_own_rungs_say_how_long_lessons_may_take() -> None:
    timed = (Rung(20, seconds=15.0), Rung(4, seconds=75.0))
    for rungs, seconds in ((timed, 30.0), (RUNGS, 20.0), ((Rung(4, seconds=1.0),), 5.0)):
        assert lesson_seconds(running_search(rungs=rungs).settings) == seconds


def test_every_trial_is_told_how_to_train_and_where_the_lessons_are() -> None:
    lessons = Lessons(artifact("lessons"), 40, 12, 9.5)
    profile = replace(OPAQUE, lessons=lessons)
    assert profile_from(profile_to(profile)) == profile
    search = replace(running_search(prototype=ONNX, training=EVERYTHING), profile=profile)
    sent = sendable(RunTrial(search, trial(PLAIN, "1"), RUNGS[0]))
    command = commands_pb2.RunTrial.FromString(sent.payload)
    assert command.lessons.sha256 == lessons.file.sha256
    assert command.training.augmentation == search_pb2.AUGMENTATION_ADVERSARIAL
    assert command.training.distillation == 0.5
    assert command.training.feature_distillation.tensor == FEATURES.tensor
    assert not command.HasField("inheritance")


def test_the_nearest_gives_its_weights_and_of_equals_the_best() -> None:
    donors = Donors()
    wide, heir = replace(PLAIN, width=64), replace(PLAIN, width=10)
    assert donors.nearest(heir) == ""
    donors.add(trial(wide, "1", psnr=30.0))
    donors.add(trial(PLAIN, "2", psnr=22.0))
    # Every weight of a narrower network is there in a wider one: the better picture decides.
    assert kinship(heir, wide).share == 1.0
    assert donors.nearest(heir) == "searches/s/trials/r0-0001"
    assert donors.nearest(replace(PLAIN, width=80)) == "searches/s/trials/r0-0001"
    donors.add(trial(wide, "1", rung=1, psnr=31.0))
    assert donors.nearest(heir) == "searches/s/trials/r1-0001"
    # Later, but of a shorter training.
    donors.add(trial(wide, "3", psnr=35.0))
    assert donors.nearest(heir) == "searches/s/trials/r1-0001"


def test_who_is_too_far_or_has_no_weights_gives_none() -> None:
    donors = Donors()
    far = replace(PLAIN, width=100)
    assert kinship(far, PLAIN).share < LEAST_SHARE
    donors.add(trial(PLAIN, "1"))
    assert donors.nearest(far) == ""
    others = Donors()
    others.add(replace(trial(PLAIN, "1"), checkpoint=None))
    others.add(replace(trial(PLAIN, "2"), state=TrialState.FAILED))
    assert others.nearest(PLAIN) == ""


def test_the_choice_does_not_depend_on_the_order_in_which_donors_came() -> None:
    trials = [trial(replace(PLAIN, width=width), str(width), psnr=25.0) for width in range(8, 24)]
    # Of one architecture twice, trained for as long: once better, once the same.
    twice = [trial(PLAIN, "1", psnr=26.0), trial(PLAIN, "2", psnr=25.0), trial(PLAIN, "3", psnr=26.0)]
    for several, heir, nearest in (
        (trials, replace(PLAIN, width=12, repeats=2), "r0-0023"),
        (twice, replace(PLAIN, width=9), "r0-0003"),
    ):
        forth, back = Donors(), Donors()
        for each in several:
            forth.add(each)
        for each in reversed(several):
            back.add(each)
        assert forth.nearest(heir) == back.nearest(heir) == f"searches/s/trials/{nearest}"


def test_a_warm_start_gives_the_same_donors_after_a_restart() -> None:
    search = running_search(training=Training(inherit_weights=True))
    started = replace(trial(PLAIN, "1"), told=1, start_time=START, end_time=START)
    prior = [replace(started, search_id="earlier", quality=Quality(26.0, 0.9))]
    live = LiveSearch(search, [], prior)
    live.ended(started)
    assert live.board.donors.nearest(PLAIN) == prior[0].name
    assert LiveSearch(search, [started], prior).board.donors.nearest(PLAIN) == prior[0].name


async def _searched(inherit: bool, restart: bool = False) -> tuple[list[Trial], list[RunTrial]]:
    clock, store = FakeClock(), FakeStore()
    commands: list[RunTrial] = []
    worker = FakeWorker(store, clock, judge=lambda command: commands.append(command))
    service = Service(store, clock)
    training = TrainingDraft(inherit_weights=inherit)
    await service.searches.create(draft(rungs=RUNGS, training=training, max_parallel_trials=1), "s")
    while await worker.step(service):
        if restart:
            # Nothing is left but the database.
            service = Service(store, clock)
            await service.results.resume()
    return await store.trials("s"), commands


async def test_a_trial_of_the_first_rung_starts_from_the_nearest() -> None:
    trials, commands = await _searched(inherit=True)
    by_name = {each.name: each for each in trials}
    heirs = [each for each in trials if each.inherits_from]
    assert heirs
    for each in heirs:
        donor = by_name[each.inherits_from]
        assert kinship(Spec.from_json(each.spec), Spec.from_json(donor.spec)).share >= LEAST_SHARE
        assert (donor.told or 0) <= each.told_before
    assert all(not each.inherits_from for each in trials if each.rung)
    for command in commands:
        donor_name = command.trial.inherits_from
        if donor_name:
            assert command.inheritance
            assert command.inheritance.checkpoint == by_name[donor_name].checkpoint
            assert command.inheritance.spec == by_name[donor_name].spec
            payload = commands_pb2.RunTrial.FromString(sendable(command).payload)
            assert payload.inheritance.spec == by_name[donor_name].spec
        # Who goes up goes on from its own.
        assert (command.initial_checkpoint is not None) == bool(command.trial.parent)
        assert not (command.initial_checkpoint and command.inheritance)
    assert trial_to(heirs[0]).inherits_from == heirs[0].inherits_from


async def test_nobody_inherits_unless_that_is_asked_for() -> None:
    trials, commands = await _searched(inherit=False)
    assert not any(each.inherits_from for each in trials)
    assert not any(command.inheritance for command in commands)


async def test_a_service_that_is_started_again_after_each_step_chooses_the_same() -> None:
    once, _ = await _searched(inherit=True)
    again, _ = await _searched(inherit=True, restart=True)
    assert [(each.name, each.spec, each.inherits_from) for each in again] == [
        (each.name, each.spec, each.inherits_from) for each in once
    ]


async def test_weights_of_an_earlier_search_are_inherited_too() -> None:
    clock, store = FakeClock(), FakeStore()
    worker, service = FakeWorker(store, clock), Service(store, clock)
    await service.searches.create(draft(rungs=RUNGS), "earlier")
    await run_to_end(worker, service)
    wanted = draft(
        rungs=RUNGS, warm_start=("searches/earlier",), training=TrainingDraft(inherit_weights=True)
    )
    await service.searches.create(wanted, "s")
    await run_to_end(worker, service)
    first = await service.searches.trial("s", "r0-0001")
    # What is tried first is the best of before: its own weights, trained already, are the nearest.
    donor = await service.searches.trial("earlier", first.inherits_from.rpartition("/")[2])
    assert first.inherits_from.startswith("searches/earlier/")
    assert donor.spec_hash == first.spec_hash


def test_the_board_keeps_no_donors_for_a_search_that_wants_none() -> None:
    done = replace(trial(PLAIN, "1"), told=1, end_time=START, start_time=START)
    heir = replace(PLAIN, width=9)
    assert Board(running_search(), [done]).donors.nearest(heir) == ""
    wanted = running_search(training=Training(inherit_weights=True))
    assert Board(wanted, [done]).donors.nearest(heir) == done.name

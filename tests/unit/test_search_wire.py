"""Between the domain and the messages: nothing gets lost, and ids make messages idempotent."""

from dataclasses import replace

import pytest
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise
from autoisp_core.spec import SearchSpace
from autoisp_search.domain import (
    Budget,
    Failure,
    MeasuredCost,
    Objective,
    ProfilePrototype,
    Prototype,
    Quality,
    Rung,
    RunTrial,
    SearchCancelled,
    SearchCompleted,
    SearchState,
    SearchView,
    Sensor,
    Trial,
    TrialCounts,
    TrialState,
    validation_seed,
)
from autoisp_search.wire.common import profile_from, profile_to
from autoisp_search.wire.messages import sendable
from autoisp_search.wire.searches import draft_from, result_from, search_to, trial_to, view_to
from search_fakes import COUNTED, OPAQUE, START, artifact, running_search

SENSOR = Sensor(toml="name = 'mine'", test_noise=Noise(0.01, 0.0005), identity_ccm=True)
SEARCH = replace(
    running_search(
        rungs=(Rung(4, seconds=2.5), Rung(1, steps=7)),
        budget=Budget(macs_per_pixel=700.0),
        prototype=Prototype(onnx=artifact("prototype")),
        sensor=SENSOR,
        display_name="mine",
        max_duration_seconds=61.5,
        test_frames_per_clip=0,
        gate="a gate",
        seed=3,
        objectives=(Objective.QUALITY, Objective.LATENCY),
        max_trials=4,
        warm_start=("earlier",),
        space=SearchSpace(recurrent=(0, 1), residual=(1,), heads=(0, 1), stem_kernels=(3,)),
    ),
    state=SearchState.SUCCEEDED,
    best_trial="r1-0001",
    pareto_trials=("r0-0002", "r1-0001"),
    rung=1,
    revision=9,
    end_time=START,
    strategy_figures={"latency_error_percent": 4.5},
)
TRIAL = Trial(
    "s",
    1,
    1,
    "{}",
    "hash",
    START,
    parent="r0-0002",
    state=TrialState.SUCCEEDED,
    cost=MeasuredCost(1.0, 2, 3, 4.0, 5.0),
    quality=Quality(28.0, 0.9),
    onnx=artifact("onnx"),
    checkpoint=artifact("checkpoint"),
    start_time=START,
    end_time=START,
)


def test_a_search_reads_back_as_the_draft_that_would_make_it_again() -> None:
    draft = draft_from(search_to(SEARCH))
    settings = SEARCH.settings
    assert draft.budget == settings.budget
    assert draft.prototype == settings.prototype
    assert draft.rungs == settings.rungs
    assert draft.max_duration_seconds == 61.5
    assert (draft.test_frames_per_clip, draft.gate) == (0, "a gate")
    assert draft.sensor.toml == SENSOR.toml
    assert draft.sensor.test_noise == (0.01, 0.0005)
    assert draft.objectives == ("quality", "latency")
    assert (draft.max_trials, draft.warm_start) == (4, ("searches/earlier",))
    for name in ("widths", "recurrent", "residual", "heads", "stem_kernels", "head_kernels"):
        assert getattr(draft.space, name) == getattr(settings.space, name)
    assert draft.fingerprint() == draft_from(search_to(SEARCH)).fingerprint()


def test_outputs_of_a_search() -> None:
    message = view_to(SearchView(SEARCH, TrialCounts(succeeded=3, planned=5)))
    assert message.state == search_pb2.SEARCH_STATE_SUCCEEDED
    assert message.best_trial == "searches/s/trials/r1-0001"
    assert list(message.pareto_trials) == ["searches/s/trials/r0-0002", "searches/s/trials/r1-0001"]
    assert (message.rung, message.etag, message.trial_counts.planned) == (1, "9", 5)
    assert message.macs_per_pixel_limit == 700
    assert dict(message.strategy_figures) == {"latency_error_percent": 4.5}
    assert not message.HasField("seconds_per_megapixel_limit")
    failed = search_to(replace(SEARCH, failure=Failure("X", "why"), best_trial=""))
    assert (failed.failure.reason, failed.best_trial) == ("X", "")


def test_a_trial_reads_back_as_its_result() -> None:
    result = result_from(trial_to(TRIAL))
    for name in ("state", "cost", "quality", "onnx", "checkpoint", "start_time", "end_time"):
        assert getattr(result, name) == getattr(TRIAL, name)


def test_profiles_keep_uncountable_apart_from_zero() -> None:
    for profile in (OPAQUE, COUNTED):
        assert profile_from(profile_to(profile)) == profile


def test_an_artifact_that_is_none_is_named() -> None:
    message = search_to(SEARCH)
    message.prototype.onnx.sha256 = "no"
    with pytest.raises(InvalidArgumentError) as caught:
        draft_from(message)
    assert caught.value.field == "search.prototype.onnx"


def test_the_command_to_profile() -> None:
    sent = sendable(ProfilePrototype(SEARCH))
    command = commands_pb2.ProfilePrototype.FromString(sent.payload)
    assert sent.subject == "autoisp.v1.cmd.prototype.profile.s"
    assert (command.search, command.seed) == ("searches/s", validation_seed(SEARCH))
    assert command.sensor.identity_ccm


def test_the_command_to_run_a_trial() -> None:
    search = replace(SEARCH, seconds_limit=0.05)
    first = sendable(RunTrial(search, replace(TRIAL, rung=0, parent=""), search.rungs[0]))
    command = commands_pb2.RunTrial.FromString(first.payload)
    assert first.subject == "autoisp.v1.cmd.trial.run.s-r0-0001"
    assert (command.fidelity.seconds, command.seconds_per_megapixel_limit) == (2.5, 0.05)
    assert not command.HasField("initial_checkpoint")

    promoted = sendable(RunTrial(search, TRIAL, search.rungs[1], TRIAL.checkpoint))
    command = commands_pb2.RunTrial.FromString(promoted.payload)
    assert command.fidelity.steps == 7
    assert command.initial_checkpoint.uri == artifact("checkpoint").uri
    # It has passed the gate; timing it again could refuse it by chance.
    assert not command.HasField("seconds_per_megapixel_limit")
    assert command.macs_per_pixel_limit == 700
    assert first.event_id != promoted.event_id
    assert max(len(first.event_id), len(promoted.event_id)) <= 128


def test_the_events() -> None:
    completed = sendable(SearchCompleted(SearchView(SEARCH, TrialCounts()), TRIAL))
    event = events_pb2.SearchCompleted.FromString(completed.payload)
    assert event.best_trial.name == event.search.best_trial == "searches/s/trials/r1-0001"
    assert event.manifest.uri == SEARCH.manifest.uri
    cancelled = sendable(SearchCancelled(SEARCH))
    assert cancelled.subject == "autoisp.v1.evt.search.cancelled.s"
    assert events_pb2.SearchCancelled.FromString(cancelled.payload).search == "searches/s"


def test_a_search_of_the_same_name_later_has_other_ids() -> None:
    later = replace(SEARCH, create_time=START.replace(year=2031))
    assert sendable(ProfilePrototype(SEARCH)).event_id != sendable(ProfilePrototype(later)).event_id
    longest = replace(SEARCH, search_id="x" * 63)
    run = RunTrial(longest, replace(TRIAL, search_id="x" * 63), longest.rungs[1])
    assert len(sendable(run).event_id) <= 128

"""``autoisp channels``, against a real server with answers of its own."""

from __future__ import annotations

import json

import pytest
from autoisp.registry.v1 import registry_pb2
from autoisp.registry.v1 import rollouts_pb2 as wire
from autoisp_cli.__main__ import main
from autoisp_cli.registry.rollout_view import bar, channel_view, constraints_text, percent_text
from autoisp_core.errors import AbortedError
from delivered import channel
from registry_server import serving
from rich.console import Console

NAME = "products/p-series/channels/stable"


@pytest.fixture
def server():
    steps = ("Start", "Update", "Pause", "Resume", "Complete", "Abort")
    with serving(
        GetModelVersion=registry_pb2.ModelVersion(name="models/night/versions/4"),
        GetChannel=channel(),
        CreateChannel=channel(),
        ListChannels=wire.ListChannelsResponse(channels=[channel()]),
        DeleteChannel=wire.DeleteChannelResponse(),
        RollbackChannel=channel(),
        ResolveModel=wire.ResolveModelResponse(
            model_version="models/night/versions/4", format="onnx-int8", rollout_id="r-5d2f81"
        ),
        ReportOutcome=wire.ReportOutcomeResponse(resolve_again=True),
        **{f"{step}Rollout": channel() for step in steps},
    ) as server:
        yield server


@pytest.fixture
def run(server, capsys):
    def run(*words, code=0):
        assert main(["channels", *map(str, words), "--server", server.address]) == code
        return capsys.readouterr()

    return run


def last(server, method):
    return server.requests(method)[-1]


def test_show_tells_how_far_the_rollout_is(run):
    shown = run("show", "p-series/stable").out
    for text in (
        *(
            "night@3",
            "phone-npu-10 or phone-gpu-3, app 3.1 and newer",
            "active",
            "10 % of the devices and 2 testers",
        ),
        *(
            "1,204 succeeded, 9 failed",
            "0.74 %, halts above 1 %",
            "LOAD_FAILED 6, TOO_SLOW 3",
            "completed at 100 %",
        ),
    ):
        assert text in shown
    assert json.loads(run("show", NAME, "--json").out)["name"] == NAME


def test_list(run, server):
    shown = run("list").out
    assert "p-series/stable" in shown
    assert "night@4 to 10 % active" in shown
    assert last(server, "ListChannels").parent == "products/-"
    run("list", "p-series")
    assert last(server, "ListChannels").parent == "products/p-series"


def test_create_and_delete(run, server):
    words = ("--model", "night@champion", "--device-profile", "phone-npu-10", "--min-app-version", "3.1")
    run("create", "p-series/stable", *words, "--description", "all phones")
    made = last(server, "CreateChannel").channel
    assert (made.name, made.model, made.version) == (NAME, "models/night", 4)
    assert list(made.constraints.device_profiles) == ["phone-npu-10"]
    run("create", "p-series/stable", "--model", "night")
    assert last(server, "CreateChannel").channel.version == 0
    assert NAME in run("delete", "p-series/stable").out
    assert last(server, "DeleteChannel").name == NAME


def test_start_says_all_that_a_rollout_has(run, server):
    words = ("--percent", "2.5", "--cohort", "early", "--tester", "a", "--tester", "b", "-m", "go")
    rule = ("--max-failure-percent", "0.5", "--min-devices", "20", "--max-app-version", "4")
    run("start", "p-series/stable", "candidate", *words, *rule)
    sent = last(server, "StartRollout")
    rollout = sent.rollout
    assert (sent.channel, sent.etag, sent.comment) == (NAME, "e1", "go")
    assert (rollout.version, rollout.percent, rollout.cohort) == (4, 2.5, "early")
    assert list(rollout.testers) == ["a", "b"]
    assert (rollout.halt_rule.max_failure_rate, rollout.halt_rule.min_devices) == (0.005, 20)
    assert rollout.constraints.max_app_version == "4"
    run("start", "p-series/stable", "night@7")
    assert last(server, "StartRollout").rollout.version == 7


def test_raise_never_lowers(run, server):
    run("raise", "p-series/stable", "50")
    assert last(server, "UpdateRollout").percent == 50
    assert not last(server, "UpdateRollout").HasField("halt_rule")
    assert "channels set p-series/stable --percent 5" in run("raise", "p-series/stable", "5", code=2).err
    run("set", "p-series/stable", "--percent", "5")
    assert last(server, "UpdateRollout").percent == 5


def test_set_changes_what_is_named_of_the_rule(run, server):
    now = channel()
    now.rollout.halt_rule.min_devices, now.rollout.halt_rule.disabled = 7, True
    server.answers["GetChannel"] = now
    run("set", "p-series/stable", "--max-failure-percent", "3", "--halt")
    sent = last(server, "UpdateRollout")
    assert not sent.HasField("percent")
    rule = sent.halt_rule
    assert (rule.max_failure_rate, rule.min_devices, rule.disabled) == (0.03, 7, False)


@pytest.mark.parametrize(
    ("word", "method"),
    [
        ("pause", "PauseRollout"),
        ("resume", "ResumeRollout"),
        ("complete", "CompleteRollout"),
        ("abort", "AbortRollout"),
        ("rollback", "RollbackChannel"),
    ],
)
def test_steps(run, server, word, method):
    assert "night@3" in run(word, "p-series/stable", "-m", "why").out
    assert (last(server, method).channel, last(server, method).comment) == (NAME, "why")
    server.answers[method] = AbortedError("the channel changed; look again", reason="ETAG_MISMATCH")
    assert "look again" in run(word, "p-series/stable", code=2).err


def test_resolve_and_report(run, server):
    words = ("--profile", "phone-npu-10", "--app-version", "3.2", "--current", "3", "--format", "onnx-int8")
    shown = run("resolve", "p-series/stable", "phone-17", *words).out
    assert "night@4" in shown
    assert "r-5d2f81" in shown
    asked = last(server, "ResolveModel")
    assert (asked.device_id, asked.device_profile, asked.current_version) == ("phone-17", "phone-npu-10", 3)
    shown = run("report", "p-series/stable", "phone-17", "--failed", "TOO_SLOW").out
    told = last(server, "ReportOutcome")
    assert (told.rollout_id, told.failed, told.reason) == ("r-5d2f81", True, "TOO_SLOW")
    assert "ask again" in shown
    run("report", "p-series/stable", "phone-17", "--rollout", "r-1")
    assert (last(server, "ReportOutcome").rollout_id, last(server, "ReportOutcome").failed) == ("r-1", False)


@pytest.mark.parametrize("json_wanted", [True, False])
def test_watch_tells_what_changed(run, server, json_wanted):
    halted = channel()
    halted.rollout.state = wire.ROLLOUT_STATE_HALTED
    gone = AbortedError("stop")
    server.answers["GetChannel"] = [channel(), channel(), halted, gone]
    words = ["--json"] if json_wanted else []
    lines = run("watch", "p-series/stable", "--every", "0.1", *words, code=2).out.splitlines()
    assert len(lines) == 2
    assert "halted" in lines[1].lower()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "stable"], "p-series/stable"),
        (["show", "a/b/c"], "p-series/stable"),
        (["start", "p/c", "day@3"], "models/day"),
        (["set", "p/c"], "--percent"),
        (["raise", "p/c", "101"], "PERCENT"),
        (["start", "p/c", "3", "--percent", "-1"], "--percent"),
    ],
)
def test_wrong_words_name_the_fix(run, server, words, text):
    assert text in run(*words, code=2).err
    assert {call.method for call in server.calls} <= {"GetChannel", "GetModelVersion"}


def test_no_rollout_to_report_to(run, server):
    server.answers["GetChannel"] = wire.Channel(name=NAME, model="models/night")
    assert "--rollout" in run("report", "p-series/stable", "d", code=2).err


def shown(found, width=80):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(channel_view(found))
    return console.export_text()


def test_a_channel_fits_a_narrow_terminal():
    found = channel(description="words " * 30)
    found.rollout.state_reason = "2.1 % of 240 devices failed, more than 1 %; " * 3
    found.rollout.halt_rule.disabled = True
    text = shown(found)
    assert max(map(len, text.splitlines())) <= 80
    assert "nothing halts it" in text
    assert "nothing yet" in shown(wire.Channel(name=NAME, model="models/night"))


def test_a_bar_shows_something_small_and_never_overflows():
    lengths = [
        (len(bar(fraction, "red").plain), bar(fraction, "red").plain.count("━"))
        for fraction in (0, 1e-6, 0.5, 1, 9)
    ]
    assert lengths == [(30, 0), (30, 1), (30, 15), (30, 30), (30, 30)]


@pytest.mark.parametrize(
    ("percent", "text"), [(1, "1 %"), (0.0001, "0.0001 %"), (12.5, "12.5 %"), (100, "100 %"), (0, "0 %")]
)
def test_percent(percent, text):
    assert percent_text(percent) == text


def test_constraints():
    assert constraints_text(wire.Constraints()) == ""
    assert constraints_text(wire.Constraints(min_app_version="3", max_app_version="4")) == "app 3 to 4"
    assert constraints_text(wire.Constraints(max_app_version="4")) == "app up to 4"

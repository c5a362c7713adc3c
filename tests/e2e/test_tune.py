"""The main job as a user runs it, on tiny footage, with everything real."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import onnxruntime
import psutil
import pytest
from command import assert_nothing_left, autoisp, make_footage, press_ctrl_c, processes_of, start

pytestmark = pytest.mark.timeout(300)

SHORT = (
    "--budget-macs",
    1200,
    "--noise",
    "0.01,0.0005",
    "--rung",
    "2x5steps",
    "1x8steps",
    "--test-frames",
    4,
)


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    return make_footage(tmp_path / "clips")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_tune_ends_with_a_network_and_its_report(tmp_path, footage, state):
    words = ("tune", "--footage", footage, *SHORT, "--state", state, "--workers", 2, "--json")
    ran = autoisp(*words, "--out", "report", folder=tmp_path)
    assert ran.returncode in (0, 1), ran.stderr  # so little training need not pass
    assert "Traceback" not in ran.stderr
    assert_nothing_left(state)

    events = [json.loads(line) for line in ran.stdout.splitlines()]
    figures = events[-1]
    assert figures == json.loads((tmp_path / "report" / "result.json").read_text())
    assert figures["passed"] == (ran.returncode == 0)
    assert figures["test_clips"] == ["zebra"]
    assert figures["trial_states"]["succeeded"] == 3
    assert figures["mac_ratio"] is None
    assert min(figures["psnr_model"], figures["psnr_prototype"], figures["latency_ratio"]) > 1
    plan = next(event["choices"] for event in events if event.get("event") == "plan")
    assert plan["Train"]["value"] == "alley [0–18], beach [0–15]"
    assert plan["Validate"]["value"] == "alley [24–29], beach [21–25]"
    stages = list(dict.fromkeys(event["stage"] for event in events if event.get("event") == "stage"))
    assert stages == ["start", "upload", "profile", "search", "evaluate", "register", "report"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/png;base64,") >= 4

    session = onnxruntime.InferenceSession(tmp_path / "report" / "model.onnx")
    feeds = {
        node.name: np.zeros(
            [size if isinstance(size, int) else 1 for size in node.shape[:-2]] + [16, 24], "f4"
        )
        if node.name == "raw"
        else np.full([size if isinstance(size, int) else 1 for size in node.shape], 0.5, "f4")
        for node in session.get_inputs()
    }
    assert session.run(["srgb"], feeds)[0].shape == (1, 3, 32, 48)

    # Once more: nothing is trained again, and the same is reported.
    again = autoisp(*words, "--out", "again", folder=tmp_path)
    repeated = json.loads(again.stdout.splitlines()[-1])
    assert repeated["resumed"]
    assert repeated["model_version"] == figures["model_version"]
    assert repeated["trials"] == figures["trials"]
    assert (tmp_path / "again" / "model.onnx").read_bytes() == (
        tmp_path / "report" / "model.onnx"
    ).read_bytes()

    # What is kept can be looked at afterwards.
    listed = autoisp("models", "list", "--state", state, "--json", folder=tmp_path)
    assert [model["name"] for model in json.loads(listed.stdout)] == [figures["model_version"].split("/v")[0]]
    assert_nothing_left(state)


def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path, footage, state):
    words = [
        *("tune", "--footage", footage, "--test", "zebra", "--budget-macs", 1200, "--noise", "0.01,0.0005"),
        *("--rung", "3x8steps", "1x8steps", "--test-frames", 2, "--state", state, "--workers", 1, "--json"),
    ]
    process = start(*words, folder=tmp_path)
    assert process.stdout is not None
    ended = set()
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "trial" and event["trial"]["state"] == "TRIAL_STATE_SUCCEEDED":
            ended.add(event["trial"]["name"])
            break
    press_ctrl_c(process)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert_nothing_left(state)
    assert not (tmp_path / "report" / "result.json").exists()

    resumed = autoisp(*words, folder=tmp_path)
    assert resumed.returncode in (0, 1), resumed.stderr
    figures = json.loads(resumed.stdout.splitlines()[-1])
    assert figures["resumed"]
    assert figures["trial_states"]["succeeded"] == 4
    assert_nothing_left(state)


def test_a_killed_command_leaves_nothing_running(tmp_path, footage, state):
    process = start("tune", "--footage", footage, *SHORT, "--state", state, folder=tmp_path)
    _wait_for_line(process, "Measure the prototype")
    assert len(processes_of(state)) >= 7
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert_nothing_left(state, within=30)


def test_a_killed_supervisor_takes_its_children_along(tmp_path, state):
    process = start("up", "--state", state, "--workers", 1, "--json", folder=tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    supervisor = psutil.Process(process.pid).children()[0]
    supervisor.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "local services ended" in errors
    assert_nothing_left(state, within=10)


def _wait_for_line(process, words):
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    pytest.fail(process.stderr.read())

"""Versions registered, promoted, rolled out and verified with the command alone, against running services."""

import base64
import json
import time

import pytest
from autoisp.ingest.v1.ingest_pb2 import SPLIT_TEST, SPLIT_TRAIN, SPLIT_VALIDATION, DatasetClip
from autoisp_cli.__main__ import main
from autoisp_client import Client
from autoisp_client.endpoints import FILE_NAME, Endpoints
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_testing import graphs
from autoisp_testing.scenes import moving_scene, write_video
from command import assert_nothing_left, autoisp, press_ctrl_c, start

pytestmark = pytest.mark.timeout(180)

FOUND = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8, frames=1, recurrent=1)
CLIPS = {"alley": SPLIT_TEST, "beach": SPLIT_VALIDATION, "cliff": SPLIT_TRAIN}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with two networks, where ``autoisp up`` runs."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "dusk.onnx").write_bytes(graphs.sized(2.0))
    (folder / "dark.onnx").write_bytes(graphs.root_of(0.9))
    services = start("up", "--workers", 1, "--json", folder=folder)
    assert services.stdout is not None
    services.stdout.readline()
    yield folder
    press_ctrl_c(services)
    _, errors = services.communicate(timeout=60)
    assert (services.returncode, errors) == (0, "")
    assert_nothing_left(folder / ".autoisp")


@pytest.fixture
def run(home, capsys, monkeypatch):
    """The command in this process, which starts it once: a process for each takes seconds."""
    monkeypatch.chdir(home)

    def run(*words, code=0):
        ended = main([str(word) for word in words])
        told = capsys.readouterr()
        assert ended == code, told.err
        return told.err if code == 2 else told.out

    return run


def test_the_command_as_a_process(home):
    listed = autoisp("models", "list", "--json", folder=home)
    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    missing = autoisp("models", "promote", "nobody@1", folder=home)
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: models/nobody")


def test_from_a_file_to_devices_and_back(home, run):
    run("models", "register", "night", "dusk.onnx", "--metric", "psnr_model=30.5", "--tag", "site=lab")
    run("models", "register", "night", "dark.onnx", "--metric", "psnr_model=31.5")
    listed = run("models", "versions", "--filter", "metrics.psnr_model > 31", "--json")
    assert [version["name"] for version in json.loads(listed)] == ["models/night/versions/2"]
    assert "filter at position" in run("models", "versions", "--filter", "metrics.psnr >", code=2)

    assert "autoisp evaluations run" in run("models", "promote", "night@1", code=2)
    for number in (1, 2):
        promoted = run("models", "promote", f"night@{number}", "--override", "-m", "seen by the lab")
        assert f"night@{number} is champion now" in promoted
    assert "night@1 again" in run("models", "rollback", "night", "-m", "green faces")
    assert "promotion" in run("models", "alias", "night@2", "champion", code=2)

    history = run("models", "history", "night")
    for words in ("version.register night@1", "✗ refused version.promote night@1", "“green faces”"):
        assert words in history
    assert "✓ intact" in run("models", "history", "--verify")

    shown = run("models", "show", "night@champion")
    assert shown.index("models/night/versions/1") < shown.index("30.5") < shown.index("where it came from")
    assert json.loads(run("models", "show", "night", "--json"))["name"] == "models/night/versions/2"

    run("channels", "create", "p-series/stable", "--model", "night@champion")
    run("channels", "start", "p-series/stable", "2", "--percent", "10", "--tester", "phone-17")
    assert "night@2" in run("channels", "resolve", "p-series/stable", "phone-17")
    run("channels", "report", "p-series/stable", "phone-17", "--failed", "TOO_SLOW")
    assert "TOO_SLOW 1" in run("channels", "show", "p-series/stable")
    assert "channels set" in run("channels", "raise", "p-series/stable", "5", code=2)
    run("channels", "abort", "p-series/stable", "-m", "too slow")
    assert "night@1" in run("channels", "resolve", "p-series/stable", "phone-17")

    assert "champion" in run("models", "delete", "night@1", code=2)
    run("channels", "delete", "p-series/stable")
    run("models", "delete", "night@2")
    assert "models restore night@2" in run("models", "show", "night@2", code=2)
    run("models", "restore", "night@2")


def test_a_network_with_footage_gets_formats_and_they_are_signed(home, run):
    with Client(Endpoints.load(home / ".autoisp" / FILE_NAME)) as client:
        clips = []
        for seed, (name, use) in enumerate(CLIPS.items()):
            video = write_video(home / f"{name}.mp4", moving_scene(6, 64, 72, seed=seed))
            clips.append(DatasetClip(clip=client.upload_clip(video).name, split=use))
        client.create_dataset(clips, dataset_id="tiny")
    (home / "dawn.onnx").write_bytes(export_onnx(build(FOUND)))
    run("models", "register", "dawn", "dawn.onnx", "--dataset", "tiny")

    deadline = time.monotonic() + 120
    while (shown := json.loads(run("models", "show", "dawn@1", "--json")))["conversion_state"].endswith(
        "RUNNING"
    ):
        assert time.monotonic() < deadline, "it is not converted"
        time.sleep(0.5)
    assert shown["conversion_state"].endswith("SUCCEEDED")
    formats = {form["format"]: form for form in shown["formats"]}
    for name in ("onnx-fp32", "onnx-fp16", "onnx-int8"):
        assert formats[name]["quality"]["psnr_db"] > 5
        assert abs(formats[name]["shadow_loss_db"]) < 0.3
        assert {lint["device"] for lint in formats[name]["lints"]} >= {"phone-npu-10", "xnnpack-cpu"}
    assert formats["executorch-xnnpack"].keys() & {"artifact", "failure"}

    run("models", "release", "dawn@1", "-o", "release", "--format", "onnx-int8")
    signed = {
        file["format"]: file["sha256"]
        for file in json.loads(
            base64.b64decode(json.loads((home / "release" / "manifest.json").read_text())["payload"])
        )["files"]
    }
    assert signed == {
        name: form["artifact"]["sha256"] for name, form in formats.items() if "artifact" in form
    }

"""``autoisp evaluations run`` as a user runs it, on tiny footage, with everything real."""

import csv
import json
from pathlib import Path

import pytest
from autoisp.ingest.v1.ingest_pb2 import SPLIT_TEST, SPLIT_TRAIN, SPLIT_VALIDATION, DatasetClip
from autoisp_cli.local import LocalStack
from autoisp_client import Client
from autoisp_testing.scenes import moving_scene, write_video
from command import assert_nothing_left, autoisp, press_ctrl_c, start

pytestmark = pytest.mark.timeout(300)

WORDS = ("--dataset", "tiny", "--subject", "prototype=builtin:classical", "--noise", "0.01,0.0005")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder that has a dataset with two test clips."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "state"
    uses = {"alley": SPLIT_TEST, "beach": SPLIT_TEST, "cliff": SPLIT_TRAIN, "dune": SPLIT_VALIDATION}
    with LocalStack(folder, workers=0) as stack, Client(stack.endpoints) as client:
        parts = []
        for seed, (name, use) in enumerate(uses.items()):
            video = write_video(home / f"{name}.mp4", moving_scene(8, 64, 72, seed=seed))
            parts.append(DatasetClip(clip=client.upload_clip(video).name, split=use))
        client.create_dataset(parts, dataset_id="tiny")
    return folder


def test_run_ends_with_a_report_and_finds_it_again(tmp_path, state):
    words = ("evaluations", "run", *WORDS, "--frames", 3, "--state", state, "--workers", 2, "--json")
    ran = autoisp(*words, "--out", "report", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert_nothing_left(state)

    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert events[0]["event"] == "begun"
    assert sorted(event["clip"] for event in events if event.get("event") == "clip") == ["alley", "beach"]
    figures = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    assert events[-1]["verdict"] == figures["verdict"]
    assert figures["passed"]
    means = []
    for clip in figures["clips"]:
        (subject,) = clip["subjects"]
        values = subject["metrics"]["psnr"]["values"]
        assert len(values) == len(subject["frames"]) == 3
        means.append(sum(values) / 3)
    assert figures["totals"][0]["metrics"]["psnr"]["mean"] == pytest.approx(sum(means) / 2, abs=1e-4)
    rows = list(csv.DictReader((tmp_path / "report" / "frames.csv").open(newline="")))
    assert len(rows) == 6
    assert {row["clip_name"] for row in rows} == {"alley", "beach"}
    page = (tmp_path / "report" / "index.html").read_text()
    assert page.count("data:image/png;base64,") >= 6

    again = autoisp(*words, "--out", "again", folder=tmp_path)
    assert json.loads(again.stdout.splitlines()[0])["resumed"]
    assert (tmp_path / "again" / "frames.csv").read_bytes() == (
        tmp_path / "report" / "frames.csv"
    ).read_bytes()


def test_ctrl_c_leaves_what_the_same_command_goes_on_with(tmp_path, state):
    words = ("evaluations", "run", *WORDS, "--seed", 1, "--frames", 2, "--state", state, "--workers", 1)
    process = start(*words, folder=tmp_path)
    assert process.stdout is not None
    assert "started evaluations/eval-" in process.stdout.readline()
    press_ctrl_c(process)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to go on" in told
    assert "Traceback" not in told
    assert_nothing_left(state)
    ran = autoisp(*words, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "again at evaluations/eval-" in ran.stdout


def test_wrong_input_names_the_option(tmp_path, state):
    words = ("--state", state, "--dataset", "none", "--subject", "a=builtin:classical")
    ran = autoisp("evaluations", "run", *words, folder=tmp_path)
    assert ran.returncode == 2
    assert "--dataset" in ran.stderr
    assert "Traceback" not in ran.stderr

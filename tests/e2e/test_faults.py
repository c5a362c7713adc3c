"""The whole system as real processes, parts of which get killed: no trial is missing, none recorded twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nats
import psutil
import pytest
from autoisp.events.v1 import events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.local import LocalStack
from autoisp_client import Client, evaluation_ended
from autoisp_core.errors import NotFoundError
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_runtime.jetstream.topology import DEAD_LETTER_STREAM, EVENT_STREAM
from autoisp_testing.scenes import moving_scene, write_video

SEARCH, SEARCH_ID = "searches/faults", "faults"
STEPS = (80, 120)
TRIALS = (3, 1)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    """Everything in its own processes; what dies is started again, and its work given to others soon."""
    for name, value in {"ACK_WAIT_SECONDS": 2, "CHECKPOINT_SECONDS": 0.1, "LOG_LEVEL": "info"}.items():
        monkeypatch.setenv(f"AUTOISP_{name}", str(value))
    with LocalStack(tmp_path / "state", workers=1) as running:
        yield running


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    with Client(stack.endpoints, patience=20) as connected:
        yield connected


def start_search(client: Client, folder: Path, trials: tuple[int, ...] = TRIALS) -> None:
    """A search over three tiny clips, with a quick network in the prototype's place."""
    splits = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)
    clips = []
    for seed, split in enumerate(splits):
        clip = client.upload_clip(write_video(folder / f"{seed}.mp4", moving_scene(seed=seed)))
        clips.append(ingest_pb2.DatasetClip(clip=clip.name, split=split))
    dataset = client.create_dataset(clips)
    stand_in = folder / "prototype.onnx"
    stand_in.write_bytes(export_onnx(build(Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=32))))
    search = search_pb2.Search(
        dataset=dataset.name,
        prototype=prototype_pb2.Prototype(onnx=client.upload_artifact(stand_in)),
        budget=search_pb2.Budget(reduction=5),
        rungs=[
            search_pb2.Rung(trials=count, steps=steps) for count, steps in zip(trials, STEPS, strict=False)
        ],
        max_parallel_trials=1,  # else the other trials could overtake a dead worker's, and none waits for it
        validation_frames_per_clip=2,
        test_frames_per_clip=2,
        seed=1,
    )
    client.create_search(search, search_id=SEARCH_ID)


def until_in_mid_trial(stack: LocalStack) -> None:
    """Waits for a trial's first checkpoint, which it leaves long before its end."""
    checkpoints = stack.folder.path / "artifacts/results/checkpoints" / SEARCH_ID
    deadline = time.monotonic() + 60
    while not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        assert time.monotonic() < deadline, "no trial got going"
        time.sleep(0.01)


def kill(what: str) -> int:
    """``kill -9`` of our one descendant that runs this program or module."""
    (process,) = [
        child
        for child in psutil.Process().children(recursive=True)
        if any(word.endswith(what) for word in child.cmdline()[:3])
    ]
    os.kill(process.pid, signal.SIGKILL)
    return process.pid


def until_registered(client: Client) -> search_pb2.Search:
    """Waits for the end of it all: search, evaluation, registration."""
    for _ in client.watch_search(SEARCH):
        pass
    search = client.get_search(SEARCH)
    assert search.state == search_pb2.SEARCH_STATE_SUCCEEDED, search
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if evaluation_ended(client.get_evaluation(f"evaluations/{SEARCH_ID}")):
                client.get_model_version(f"{search.model}/versions/latest")
                return search
        except NotFoundError:
            pass
        time.sleep(0.1)
    raise AssertionError("nothing was registered")


async def events(stack: LocalStack) -> tuple[list[str], int]:
    """The trials of all trial.completed events, and the number of dead letters."""
    (ports,) = sorted(stack.folder.run.glob("nats-server_*.ports"), key=lambda path: path.stat().st_mtime)[
        -1:
    ]
    connection = await nats.connect(json.loads(ports.read_text())["nats"][0])
    js = connection.jetstream()
    state = (await js.stream_info(EVENT_STREAM)).state
    completed = []
    for sequence in range(max(1, state.first_seq), state.last_seq + 1):
        message = await js.get_msg(EVENT_STREAM, sequence)
        if (message.subject or "").startswith("autoisp.v1.evt.trial.completed."):
            completed.append(events_pb2.TrialCompleted.FromString(message.data or b"").trial.name)
    dead = (await js.stream_info(DEAD_LETTER_STREAM)).state.messages
    await connection.close()
    return completed, dead


def check_nothing_missing_nothing_twice(client: Client, stack: LocalStack, search: search_pb2.Search) -> None:
    trials = list(client.list_trials(SEARCH))
    judged = [trial for trial in trials if trial.state == search_pb2.TRIAL_STATE_SUCCEEDED]
    assert [trial.name for trial in trials if trial.state not in ENDED] == []
    assert Counter(trial.rung for trial in judged) == dict(enumerate(TRIALS))
    assert {trial.rung: trial.steps for trial in judged} == dict(enumerate(STEPS))
    assert search.trial_counts.succeeded == sum(TRIALS)

    completed, dead_letters = asyncio.run(events(stack))
    assert Counter(completed) == {trial.name: 1 for trial in trials}
    assert dead_letters == 0

    results = stack.folder.path / "artifacts/results/trials" / SEARCH_ID
    assert {path.name for path in results.iterdir()} == {trial.name.split("/")[-1] for trial in trials}
    assert not list((stack.folder.path / "artifacts/results/checkpoints").rglob("r*"))
    assert len(list(client.list_model_versions(search.model))) == 1


ENDED = {
    search_pb2.TRIAL_STATE_SUCCEEDED,
    search_pb2.TRIAL_STATE_FAILED,
    search_pb2.TRIAL_STATE_PRUNED,
    search_pb2.TRIAL_STATE_CANCELLED,
}


@pytest.mark.parametrize("victim", ["autoisp_worker", "nats-server"])
def test_a_search_outlives_its_parts(stack: LocalStack, client: Client, tmp_path: Path, victim: str) -> None:
    start_search(client, tmp_path)
    until_in_mid_trial(stack)

    kill(victim)

    search = until_registered(client)
    check_nothing_missing_nothing_twice(client, stack, search)
    assert any(victim.removeprefix("autoisp_") in note for note in stack.notes())
    if victim == "autoisp_worker":
        assert '"resuming"' in stack.folder.log("worker-1").read_text()

"""An evaluation whose worker is killed in mid-job and whose broker restarts ends as an undisturbed one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nats
import psutil
import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_cli.local import LocalStack
from autoisp_client import Client
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_runtime.jetstream.topology import DEAD_LETTER_STREAM, EVENT_STREAM
from autoisp_testing.scenes import moving_scene, write_video

CLIPS, FRAMES = 3, 12
TEST = ingest_pb2.SPLIT_TEST
SUCCEEDED = evaluation_pb2.EVALUATION_STATE_SUCCEEDED


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalStack]:
    """Everything in its own processes; what dies is started again, and its work given to others soon."""
    for name, value in {"ACK_WAIT_SECONDS": 2, "LOG_LEVEL": "info"}.items():
        monkeypatch.setenv(f"AUTOISP_{name}", str(value))
    with LocalStack(tmp_path / "state", workers=1) as running:
        yield running


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    with Client(stack.endpoints, patience=20) as connected:
        yield connected


def wanted(client: Client, folder: Path) -> Callable[[str], evaluation_pb2.Evaluation]:
    """Starts an evaluation, by its id, of two untrained networks on a few tiny clips."""
    clips = [
        ingest_pb2.DatasetClip(
            clip=client.upload_clip(
                write_video(folder / f"{seed}.mp4", moving_scene(FRAMES, seed=seed))
            ).name,
            split=split,
        )
        for seed, split in enumerate((ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, *[TEST] * CLIPS))
    ]
    networks = []
    for width in (8, 16):
        path = folder / f"{width}.onnx"
        path.write_bytes(export_onnx(build(Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=width))))
        networks.append(client.upload_artifact(path))
    dataset = client.create_dataset(clips).name

    def start(evaluation_id: str) -> evaluation_pb2.Evaluation:
        return client.create_evaluation(
            dataset,
            {"prototype": prototype_pb2.Prototype(onnx=networks[1]), "model": networks[0]},
            gate='[[check]]\nmetric = "psnr"\nnot_worse_than_baseline_by = 50',
            seed=3,
            evaluation_id=evaluation_id,
        )

    return start


def kill(what: str) -> None:
    """``kill -9`` of our first descendant that runs it; it may have children."""
    found = [
        child
        for child in psutil.Process().children(recursive=True)
        if what in [Path(word).name for word in child.cmdline()[:3]]
    ]
    os.kill(min(found, key=lambda child: child.create_time()).pid, signal.SIGKILL)


def until(
    client: Client, name: str, condition: Callable[[evaluation_pb2.Evaluation], bool]
) -> evaluation_pb2.Evaluation:
    """The evaluation as soon as the condition holds."""
    deadline = time.monotonic() + 120
    while not condition(found := client.get_evaluation(name)):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def judged(evaluation: evaluation_pb2.Evaluation) -> int:
    return sum(clip.state == SUCCEEDED for clip in evaluation.clips)


def figures(evaluation: evaluation_pb2.Evaluation) -> object:
    """Everything that doesn't depend on the clock."""
    per_frame = {
        (clip.clip, subject.label, frame.frame): (frame.quality.psnr_db, frame.quality.ssim)
        for clip in evaluation.clips
        for subject in clip.subjects
        for frame in subject.frames
    }
    totals = [
        (
            total.label,
            total.quality.psnr_db,
            total.quality.ssim,
            total.cost.macs_per_pixel,
            [metric.SerializeToString(deterministic=True) for metric in total.metrics],
        )
        for total in evaluation.totals
    ]
    comparisons = [comparison.SerializeToString(deterministic=True) for comparison in evaluation.comparisons]
    return per_frame, totals, comparisons, evaluation.gate_report.SerializeToString()


async def told(stack: LocalStack) -> tuple[Counter[tuple[str, str]], Counter[str], int]:
    """Which clips were judged, which evaluations completed, and the number of dead letters."""
    (ports,) = sorted(stack.folder.run.glob("nats-server_*.ports"), key=lambda path: path.stat().st_mtime)[
        -1:
    ]
    connection = await nats.connect(json.loads(ports.read_text())["nats"][0])
    js = connection.jetstream()
    state = (await js.stream_info(EVENT_STREAM)).state
    clips: Counter[tuple[str, str]] = Counter()
    completed: Counter[str] = Counter()
    for sequence in range(max(1, state.first_seq), state.last_seq + 1):
        message = await js.get_msg(EVENT_STREAM, sequence)
        subject, data = message.subject or "", message.data or b""
        if ".evaluation.clip_judged." in subject:
            event = events_pb2.EvaluationClipJudged.FromString(data)
            clips[event.evaluation, event.result.clip] += 1
        elif ".evaluation.completed." in subject:
            completed[events_pb2.EvaluationCompleted.FromString(data).evaluation.name] += 1
    dead = (await js.stream_info(DEAD_LETTER_STREAM)).state.messages
    await connection.close()
    return clips, completed, dead


def test_every_frame_is_judged_once_whatever_dies(stack: LocalStack, client: Client, tmp_path: Path) -> None:
    start = wanted(client, tmp_path)
    calm = start("calm")
    undisturbed = until(client, calm.name, lambda found: found.state == SUCCEEDED)

    stormy = start("stormy")
    # With the first clip done, the worker is in the middle of the second.
    until(client, stormy.name, lambda found: judged(found) >= 1)
    kill("autoisp_worker")
    until(client, stormy.name, lambda found: judged(found) >= 2)
    kill("nats-server")
    ended = until(client, stormy.name, lambda found: found.state != evaluation_pb2.EVALUATION_STATE_RUNNING)

    assert ended.state == SUCCEEDED, ended.failure
    assert judged(ended) == CLIPS
    for clip in ended.clips:
        for subject in clip.subjects:
            assert [frame.frame for frame in subject.frames] == list(range(FRAMES))
    assert figures(ended) == figures(undisturbed)

    clips, completed, dead_letters = asyncio.run(told(stack))
    assert clips == {(name, clip.clip): 1 for name in (calm.name, stormy.name) for clip in ended.clips}
    assert completed == {calm.name: 1, stormy.name: 1}
    assert dead_letters == 0
    notes = stack.notes()
    assert any("worker" in note for note in notes), notes
    assert any("nats-server" in note for note in notes), notes

"""Frames a second of an evaluation's job against a bare loop: ONNX Runtime and the same metrics, one process.

    python tests/bench/evaluation.py [--frames N] [--repeats N] [--ffmpeg FILE] [--memory FRAMES]

A stored clip of 480×272 and a recurrent network of 3,412 MAC per pixel; psnr and ssim, all on one thread
each. The bare loop gets its raw ready made, and runs on one core; a job makes it, and has the network on
another core. Both are measured back to back, in alternation. `frames` is the rate while frames are developed
and judged, `whole` includes starting the network's process and timing it; they meet in long clips.

Worker processes share clips of a third of the length over the work queue; their rate includes all of that,
for each clip. `--memory` adds the memory of a job over so many frames of 96×64.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.spec import Spec, cost
from autoisp_isp.export import export_onnx
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.network import build
from autoisp_isp.runtime_session import load_session
from autoisp_isp.synthesis import RawClip
from autoisp_runtime.clip_frames import ClipWriter
from autoisp_testing.nats import NatsServer
from autoisp_testing.scenes import moving_scene
from autoisp_worker import wire
from autoisp_worker.compute import StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain_evaluation import FramesJudged
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.results import Results, clip_key
from autoisp_worker.tools import Tools
from record import record, spread

sys.path.append(str(Path(__file__).parents[1] / "integration"))
from worker_bus import Bus, worker_process
from worker_jobs import Footage, reference

_HEIGHT, _WIDTH = 272, 480
_SPEC = Spec(
    Spec.code((1, 1, 3, 0, 0), (2, 1, 3, 1, 0), (3, 7, 0, 0, 0)), width=40, packing=4, frames=1, recurrent=1
)
_METRICS = ("psnr", "ssim")
_DISTINCT = 48
"""Frames of the scene; longer clips show it again."""
_CLIPS = 4
_SHARED_TURNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ffmpeg", help="measure its psnr and ssim filters too")
    parser.add_argument("--memory", type=int, metavar="FRAMES", help="memory over so many small frames")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    model = export_onnx(build(_SPEC))
    figures: dict[str, Any] = {"frames": arguments.frames, "macs_per_pixel": cost(_SPEC).macs_per_pixel}
    with tempfile.TemporaryDirectory() as folder:
        footage = Footage.make(Path(folder) / "artifacts")
        entry = clip(footage, arguments.frames, _HEIGHT, _WIDTH)
        figures["job"] = job_against_loop(footage, entry, model, arguments.repeats)
        if arguments.ffmpeg:
            figures["ffmpeg_frames_per_s"] = ffmpeg_rate(Path(folder), arguments.ffmpeg, arguments.frames)
        figures["workers_frames_per_s"] = {
            count: asyncio.run(workers(Path(folder), footage, model, count, max(1, arguments.frames // 3)))
            for count in (1, 2)
        }
        if arguments.memory:
            figures["memory"] = memory(footage, model, arguments.memory)
    record("evaluation", figures)


def clip(
    footage: Footage, frames: int, height: int, width: int, name: str = "long"
) -> ingest_pb2.DatasetManifest.Entry:
    """A stored clip of the moving scene."""
    scene = moving_scene(min(frames, _DISTINCT), height, width)
    uri = f"clips/{name}/frames"
    with ClipWriter(footage.store, uri, FrameFormat(FrameKind.RGB, 8, width, height)) as writer:
        for index in range(frames):
            writer.append((scene[index % len(scene)],), 0)
    stored = ingest_pb2.Clip(
        name=f"clips/{name}",
        width=width,
        height=height,
        frame_count=frames,
        source_sha256="0" * 64,
        frames_uri=uri,
    )
    return ingest_pb2.DatasetManifest.Entry(clip=stored, split=ingest_pb2.SPLIT_TEST, end_frame=frames)


def subject(footage: Footage, model: bytes) -> evaluation_pb2.Subject:
    return evaluation_pb2.Subject(label="model", onnx=reference(footage.store.put_bytes(model)))


def job_against_loop(
    footage: Footage, entry: ingest_pb2.DatasetManifest.Entry, model: bytes, repeats: int
) -> dict[str, Any]:
    """Frames a second of both, and the ratio of each pair."""
    bare = bare_loop(footage, entry, model)
    rates: dict[str, list[float]] = {"bare": [], "job": [], "whole": []}
    busy: dict[str, list[float]] = {"bare": [], "whole": []}
    for _ in range(repeats):
        begun = processor_seconds()
        rates["bare"].append(bare())
        between = processor_seconds()
        frames, whole = job(footage, entry, model)
        rates["job"].append(frames)
        rates["whole"].append(whole)
        busy["bare"].append((between - begun) / entry.end_frame)
        busy["whole"].append((processor_seconds() - between) / entry.end_frame)
    return {
        "bare_frames_per_s": spread(rates["bare"]),
        "job_frames_per_s": spread(rates["job"]),
        "whole_job_frames_per_s": spread(rates["whole"]),
        "ratio": ratio(rates["job"], rates["bare"]),
        "whole_ratio": ratio(rates["whole"], rates["bare"]),
        "bare_processor_s_per_frame": spread(busy["bare"]),
        "whole_job_processor_s_per_frame": spread(busy["whole"]),
    }


def ratio(rates: list[float], bare: list[float]) -> dict[str, Any]:
    """Of each pair."""
    return spread([one / other for one, other in zip(rates, bare, strict=True)])


def bare_loop(footage: Footage, entry: ingest_pb2.DatasetManifest.Entry, model: bytes) -> Callable[[], float]:
    """A function that goes over the clip once and gives frames a second."""
    job = wire.evaluation_job(footage.evaluation(entry=entry))
    raw = RawClip(moving_scene(_DISTINCT, _HEIGHT, _WIDTH), job.sensor, "", 0)
    (noise,) = job.sensor.evaluation_noises()
    samples = [raw.sample(index, 1, noise) for index in range(_DISTINCT)]
    ready = [
        tuple(value.numpy() for value in (one.raw, one.gains, one.ccm, one.noise, one.truth))
        for one in samples
    ]
    network, count = load_session(model), entry.end_frame

    def run() -> float:
        stream, begun = network.start(), time.perf_counter()
        with FrameMetrics(_METRICS) as metrics:
            for index in range(count):
                *told, truth = ready[index % len(ready)]
                metrics.measure(stream.run(*told), truth)
        return count / (time.perf_counter() - begun)

    return run


def job(footage: Footage, entry: ingest_pb2.DatasetManifest.Entry, model: bytes) -> tuple[float, float]:
    """Frames a second while frames are judged, and from the job's beginning to its end."""
    command = footage.evaluation(subject(footage, model), entry=entry, frames_per_clip=0, metrics=_METRICS)
    span: list[float] = []

    def watch(take: Callable[[], FramesJudged | None]) -> None:
        span.append(time.perf_counter())

        def poll() -> None:
            while (news := take()) is None or news.done < news.wanted:
                time.sleep(0.02)
            span.append(time.perf_counter())

        threading.Thread(target=poll, daemon=True).start()

    jobs = LocalJobs(Tools.of(WorkerConfig(), footage.store))
    begun = time.perf_counter()
    result = jobs.judge(wire.evaluation_job(command), StopRequest(), watch)
    assert result.failure is None, result.failure
    return entry.end_frame / (span[1] - span[0]), entry.end_frame / (time.perf_counter() - begun)


def ffmpeg_rate(folder: Path, program: str, frames: int) -> float:
    """Frames a second of ffmpeg's two filters over raw video."""
    scene = moving_scene(_DISTINCT, _HEIGHT, _WIDTH)
    for name in ("a.rgb", "b.rgb"):
        with (folder / name).open("wb") as file:
            for index in range(frames):
                file.write(np.ascontiguousarray(scene[index % _DISTINCT]).tobytes())
    source = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{_WIDTH}x{_HEIGHT}", "-i"]
    begun = time.perf_counter()
    quiet = ["-v", "error", "-threads", "1", "-filter_complex_threads", "1"]
    inputs = [*source, str(folder / "a.rgb"), *source, str(folder / "b.rgb")]
    graph = "[0]split=2[a][c];[1]split=2[b][d];[a][b]psnr[p];[c][d]ssim[s]"
    outputs = ["-map", "[p]", "-f", "null", "-", "-map", "[s]", "-f", "null", "-"]
    subprocess.run([program, *quiet, *inputs, "-lavfi", graph, *outputs], check=True)
    return frames / (time.perf_counter() - begun)


async def workers(folder: Path, footage: Footage, model: bytes, count: int, frames: int) -> dict[str, Any]:
    """Frames a second of so many worker processes that share clips over the work queue."""
    home = folder / f"workers-{count}"
    home.mkdir()
    (home / "artifacts").symlink_to(folder / "artifacts")
    (home / "nats").mkdir()
    entries = [clip(footage, frames, _HEIGHT, _WIDTH, f"w{index}") for index in range(_CLIPS)]
    rates = []
    with NatsServer(home / "nats") as server, contextlib.ExitStack() as started:
        for number in range(count):
            started.enter_context(worker_process(server, home, worker_id=f"w{number}"))
        async with Bus.of(server) as bus:
            for turn in range(_SHARED_TURNS):
                begun = time.perf_counter()
                await judge_all(
                    bus, footage, subject(footage, model), entries, f"evaluations/e{count}-{turn}"
                )
                rates.append(_CLIPS * frames / (time.perf_counter() - begun))
    return spread(rates[1:])  # in the first turn the workers import what they need


async def judge_all(
    bus: Bus,
    footage: Footage,
    judged: evaluation_pb2.Subject,
    entries: Sequence[ingest_pb2.DatasetManifest.Entry],
    evaluation: str,
) -> None:
    """Have the clips judged; ends with the last result."""
    results = Results(footage.store)
    for entry in entries:
        await bus.evaluate(footage.evaluation(judged, evaluation=evaluation, entry=entry, frames_per_clip=0))
    for entry in entries:
        # The store is asked rather than the bus, which would take a core from the workers.
        key = clip_key(evaluation, entry.clip.name)
        while (payload := results.get(key)) is None:  # noqa: ASYNC110  (nothing here could set an event)
            await asyncio.sleep(0.05)
        result = events_pb2.EvaluationClipJudged.FromString(payload).result
        assert not result.HasField("failure"), result.failure


def memory(footage: Footage, model: bytes, frames: int) -> dict[str, Any]:
    """The most resident memory in MB, of this process and of the network's, in each quarter of a long clip of
    small frames."""
    entry = clip(footage, frames, 64, 96, "memory")
    command = footage.evaluation(subject(footage, model), entry=entry, frames_per_clip=0)
    judging, network = [0.0] * 4, [0.0] * 4

    def watch(take: Callable[[], FramesJudged | None]) -> None:
        (child,) = children()

        def poll() -> None:
            done = 0
            while done < frames:
                news = take()
                done = done if news is None else news.done
                quarter = min(3, 4 * done // frames)
                judging[quarter] = max(judging[quarter], resident_mb("self"))
                with contextlib.suppress(OSError):  # the network's process ends with the job
                    network[quarter] = max(network[quarter], resident_mb(child))
                time.sleep(0.05)

        threading.Thread(target=poll, daemon=True).start()

    jobs = LocalJobs(Tools.of(WorkerConfig(frame_cache_bytes=32 << 20), footage.store))
    result = jobs.judge(wire.evaluation_job(command), StopRequest(), watch)
    assert result.failure is None, result.failure
    return {"frames": frames, "judging_mb_by_quarter": judging, "network_mb_by_quarter": network}


def children() -> list[str]:
    """Processes that this one has started and that still run."""
    tasks = Path("/proc/self/task").iterdir()
    return [pid for task in tasks for pid in (task / "children").read_text().split()]


def resident_mb(process: str) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def processor_seconds() -> float:
    """Of this process and of those it has started that have ended."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()

"""Frames a second of an evaluation's job against a bare loop: ONNX Runtime and the same metrics, one process.

    python tests/bench/evaluation.py [--frames N] [--repeats N] [--ffmpeg FILE] [--workers] [--memory FRAMES]

A stored clip of 480×272 and a recurrent network of 3,412 MAC per pixel; psnr and ssim. The bare loop gets its
raw ready made. Both are measured back to back, in alternation. `frames` is the rate while frames are
developed and judged, `whole` includes starting the network's process and timing it; they meet in long clips.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from autoisp.evaluation.v1 import evaluation_pb2
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ffmpeg", help="measure its psnr and ssim filters too")
    parser.add_argument("--workers", action="store_true", help="measure 1 and 2 worker processes too")
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
        if arguments.workers:
            figures["workers"] = {
                count: asyncio.run(workers(Path(folder), footage, model, count, arguments.frames))
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
    for _ in range(repeats):
        rates["bare"].append(bare())
        frames, whole = job(footage, entry, model)
        rates["job"].append(frames)
        rates["whole"].append(whole)
    return {
        "bare_frames_per_s": spread(rates["bare"]),
        "job_frames_per_s": spread(rates["job"]),
        "whole_job_frames_per_s": spread(rates["whole"]),
        "ratio": spread([one / other for one, other in zip(rates["job"], rates["bare"], strict=True)]),
    }


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


async def workers(folder: Path, footage: Footage, model: bytes, count: int, frames: int) -> float:
    """Frames a second of so many worker processes that share clips over the work queue."""
    home = folder / f"workers-{count}"
    home.mkdir()
    (home / "artifacts").symlink_to(folder / "artifacts")
    (home / "nats").mkdir()
    entries = [clip(footage, frames, _HEIGHT, _WIDTH, f"w{index}") for index in range(_CLIPS)]
    with NatsServer(home / "nats") as server:
        async with Bus.of(server) as bus:
            processes = [worker_process(server, home, worker_id=f"w{number}") for number in range(count)]
            for process in processes:
                process.start()
            try:
                await asyncio.sleep(10)  # imports
                begun = time.perf_counter()
                for entry in entries:
                    await bus.evaluate(
                        footage.evaluation(
                            subject(footage, model),
                            evaluation=f"evaluations/e{count}",
                            entry=entry,
                            frames_per_clip=0,
                        )
                    )
                results = await bus.judged(_CLIPS, timeout_s=600.0)
                assert not any(result.HasField("failure") for result in results)
                return _CLIPS * frames / (time.perf_counter() - begun)
            finally:
                for process in processes:
                    process.stop()


def memory(footage: Footage, model: bytes, frames: int) -> dict[str, Any]:
    """The most resident memory, in MB, in both halves of a long clip of small frames."""
    entry = clip(footage, frames, 64, 96, "memory")
    command = footage.evaluation(subject(footage, model), entry=entry, frames_per_clip=0)
    peaks: dict[str, float] = {}

    def watch(take: Callable[[], FramesJudged | None]) -> None:
        def poll() -> None:
            done = 0
            while done < frames:
                news = take()
                done = done if news is None else news.done
                half = "first_half_mb" if done <= frames // 2 else "second_half_mb"
                peaks[half] = max(peaks.get(half, 0.0), resident_mb())
                time.sleep(0.05)

        threading.Thread(target=poll, daemon=True).start()

    jobs = LocalJobs(Tools.of(WorkerConfig(frame_cache_bytes=32 << 20), footage.store))
    result = jobs.judge(wire.evaluation_job(command), StopRequest(), watch)
    assert result.failure is None, result.failure
    network = result.subjects[0].latency.peak_memory_bytes / 1e6
    return {"frames": frames, **peaks, "network_mb": network, "peak_mb": peak_mb()}


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()

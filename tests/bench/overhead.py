"""What the services cost: a trial through them against the same work in a bare loop; 1 against 2 workers.

Usage: python tests/bench/overhead.py [--steps N] [--repeats N]

A repeat is a search of one trial on one worker, then the bare loop with that trial's own spec: same footage,
steps, frames to validate, and one thread for both. Wall time is what a user waits for; CPU time is what it
costs on a machine that others use too. Both are measured back to back, so that a busy neighbour slows both.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.local import LocalStack
from autoisp_client import Client
from autoisp_core import sensor as sensors
from autoisp_core.spec import Spec
from autoisp_isp.evaluation import evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.runtime_session import load_session, measure_latency
from autoisp_isp.training import train
from autoisp_isp.training_set import TrainingSet
from autoisp_testing.scenes import Frames, moving_scene, write_video
from record import record, spread

FRAMES, HEIGHT, WIDTH = 48, 272, 480
VALIDATION_FRAMES = 8
BUDGET = search_pb2.Budget(macs_per_pixel=3000)
SPLITS = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)
FINISHED = (search_pb2.TRIAL_STATE_SUCCEEDED, search_pb2.TRIAL_STATE_FAILED)


@dataclass(frozen=True)
class Times:
    """Seconds of one trial, or of the same work without services; ``rest``: neither waiting nor training."""

    wall: float
    waiting: float
    training: float
    rest: float
    cpu: float


def scene(seed: int) -> Frames:
    return moving_scene(FRAMES, HEIGHT, WIDTH, seed=seed)


def create_dataset(client: Client, folder: Path) -> str:
    clips = []
    for seed, split in enumerate(SPLITS):
        clip = client.upload_clip(write_video(folder / f"{seed}.mp4", scene(seed)))
        clips.append(ingest_pb2.DatasetClip(clip=clip.name, split=split))
    return client.create_dataset(clips).name


def create_search(client: Client, folder: Path, dataset: str, rungs: list[search_pb2.Rung], seed: int) -> str:
    """A search whose prototype is a quick network, so that its profile does not weigh."""
    stand_in = folder / "prototype.onnx"
    stand_in.write_bytes(export_onnx(build(Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=16))))
    search = search_pb2.Search(
        dataset=dataset,
        prototype=prototype_pb2.Prototype(onnx=client.upload_artifact(stand_in)),
        budget=BUDGET,
        rungs=rungs,
        max_parallel_trials=2,
        validation_frames_per_clip=VALIDATION_FRAMES,
        test_frames_per_clip=1,
        strategy="random",
        seed=seed,
    )
    return client.create_search(search).name


def through_services(client: Client, folder: Path, dataset: str, steps: int, seed: int) -> tuple[Times, Spec]:
    worker = psutil.Process(next(worker_pids()))
    name = create_search(client, folder, dataset, [search_pb2.Rung(trials=1, steps=steps)], seed)
    cpu = 0.0
    for update in client.watch_search(name):
        trial = update.trial
        if trial.state == search_pb2.TRIAL_STATE_QUEUED:
            cpu = cpu_seconds(worker)
        if trial.state in FINISHED and trial.steps:
            recorded = time.time()
            cpu = cpu_seconds(worker) - cpu
            waiting = trial.start_time.ToNanoseconds() - trial.create_time.ToNanoseconds()
            took = (trial.end_time.ToNanoseconds() - trial.start_time.ToNanoseconds()) / 1e9
            wall = recorded - trial.create_time.ToNanoseconds() / 1e9
            times = Times(wall, waiting / 1e9, trial.train_seconds, took - trial.train_seconds, cpu)
            spec = Spec.from_json(trial.spec)
    return times, spec


def in_a_bare_loop(spec: Spec, steps: int, seed: int) -> Times:
    """What the trial consists of, without processes, messages, checkpoints, or a store."""
    sensor = sensors.builtin("phone")
    footage, validation = scene(0), scene(1)
    torch.set_num_threads(1)
    begun, cpu = time.perf_counter(), time.process_time()
    trained = train(spec, TrainingSet([("0", footage)], sensor), TrainBudget(steps=steps), seed)
    network = build(spec)
    network.load_state_dict(trained.state_dict)
    session = load_session(export_onnx(network))
    indices = spread_indices(FRAMES, VALIDATION_FRAMES)
    noises = sensor.evaluation_noises()
    list(evaluate(OnnxPrototype(session, 0.0), validation, sensor, noises, seed, indices))
    measure_latency(session, HEIGHT, WIDTH, repeats=15)
    wall = time.perf_counter() - begun
    return Times(wall, 0.0, trained.seconds, wall - trained.seconds, time.process_time() - cpu)


def search_seconds(workers: int, trials: int, steps: int, seed: int) -> float:
    """Wall time of a search's trials, from the first queued to the end; services are up and warm before."""
    with tempfile.TemporaryDirectory() as name, LocalStack(Path(name) / "state", workers) as stack:
        folder = Path(name)
        with Client(stack.endpoints) as client:
            dataset = create_dataset(client, folder)
            warm = create_search(client, folder, dataset, [search_pb2.Rung(trials=workers, steps=1)], seed)
            for _ in client.watch_search(warm):
                pass
            rungs = [search_pb2.Rung(trials=trials, steps=steps)]
            search = create_search(client, folder, dataset, rungs, seed)
            for _ in client.watch_search(search):
                pass
            first = min(trial.create_time.ToNanoseconds() for trial in client.list_trials(search))
            return (client.get_search(search).end_time.ToNanoseconds() - first) / 1e9


def worker_pids() -> Iterator[int]:
    for child in psutil.Process().children(recursive=True):
        if "autoisp_worker" in child.cmdline():
            yield child.pid


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure_overhead(steps: int, repeats: int) -> dict[str, object]:
    services, bare = [], []
    with tempfile.TemporaryDirectory() as name, LocalStack(Path(name) / "state", workers=1) as stack:
        folder = Path(name)
        with Client(stack.endpoints) as client:
            dataset = create_dataset(client, folder)
            through_services(client, folder, dataset, 5, 0)  # both sides warm: imports, frames, caches
            for seed in range(1, repeats + 1):
                times, spec = through_services(client, folder, dataset, steps, seed)
                services.append(times)
                bare.append(in_a_bare_loop(spec, steps, seed))
    pairs = list(zip(services, bare, strict=True))
    return {
        "steps": steps,
        "services": {part: spread([getattr(one, part) for one in services]) for part in vars(services[0])},
        "bare": {part: spread([getattr(one, part) for one in bare]) for part in vars(bare[0])},
        "overhead_wall_percent": spread([100 * (one.wall / other.wall - 1) for one, other in pairs]),
        "overhead_cpu_percent": spread([100 * (one.cpu / other.cpu - 1) for one, other in pairs]),
        "overhead_training_percent": spread(
            [100 * (one.training / other.training - 1) for one, other in pairs]
        ),
        "overhead_seconds_beside_training": spread(
            [one.wall - one.training - (other.wall - other.training) for one, other in pairs]
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="of a trial; should take 30 s or more")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12, help="of the search for 1 and 2 workers")
    parser.add_argument("--trial-steps", type=int, default=150)
    arguments = parser.parse_args()
    os.environ["AUTOISP_THREADS"] = "1"
    load_before = os.getloadavg()[0]
    figures = measure_overhead(arguments.steps, arguments.repeats)
    walls: dict[int, list[float]] = {1: [], 2: []}
    for seed in range(arguments.repeats):
        for workers, taken in walls.items():
            taken.append(search_seconds(workers, arguments.trials, arguments.trial_steps, seed))
    record(
        "overhead",
        {
            "threads": {"worker": 1, "bare": 1},
            "load_average_before": round(load_before, 2),
            "trial": figures,
            "search": {
                "trials": arguments.trials,
                "steps": arguments.trial_steps,
                "seconds_1_worker": spread(walls[1]),
                "seconds_2_workers": spread(walls[2]),
                "speedup": spread([one / two for one, two in zip(walls[1], walls[2], strict=True)]),
            },
        },
    )


if __name__ == "__main__":
    main()

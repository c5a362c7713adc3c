"""What a search finds in equal wall time, against random search and networks drawn by hand, on unseen clips.

    python tests/bench/search_real.py --train A.mp4 B.mp4 --unseen C.mp4 D.mp4 … \\
        --prototype onnx:FILE --minutes 6 --seeds 3 --out DIR

Each search is `autoisp tune` as a user runs it, services, workers and all. Each design by hand is trained by
the same code for as long as the default strategy's network of the same seed was in all its rungs (`same`);
with `--efforts same wall` once more for the whole wall time of the search, as an engineer who needs no
search could. Every network is judged from its ONNX file on the same noisy frames of the unseen clips.
Interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch
from autoisp_core.spec import SearchSpace
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.training_set import TrainingSet
from hand_made import SENSOR, Frames, hand_made, judge, load_clip, train_and_judge
from record import record, spread

DEFAULT, PEER = "predictor", "random"
FRAMES = {"train": 250, "unseen": 48}
FRAMES_JUDGED = 8
WORKERS = 2


def main() -> None:
    """Runs what is missing, then records the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--unseen", type=Path, nargs="+", required=True)
    parser.add_argument("--prototype", required=True)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--efforts", nargs="+", choices=("same", "wall"), default=["same"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the unfinished comparison")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seeds):
        for strategy in (DEFAULT, PEER):
            _kept(options.out / f"{strategy}-{seed}.json", _search, options, strategy, seed)
    jobs = list(_hand_made_jobs(options))
    with multiprocessing.get_context("spawn").Pool(WORKERS, maxtasksperchild=1) as pool:
        pool.starmap(_hand_made, jobs, chunksize=1)
    record("search_real", _compared(options))


def _kept(path: Path, make: Any, *arguments: Any) -> None:
    if path.exists():
        return
    row = make(*arguments)
    path.write_text(json.dumps(row, indent=1))
    print(f"{path.stem}: {row['mean_db']:.2f} dB, {row['macs_per_pixel']:.0f} MAC/px", flush=True)


def _search(options: argparse.Namespace, strategy: str, seed: int) -> dict[str, Any]:
    folder = options.out / f"{strategy}-{seed}"
    shot, read = SENSOR.evaluation_noises()[0].shot, SENSOR.evaluation_noises()[0].read
    command = [
        sys.executable,
        "-m",
        "autoisp_cli",
        "tune",
        "--out",
        str(folder),
        "--state",
        f"{folder}-state",
    ]
    command += ["--footage", *map(str, options.train), "--test", *map(str, options.unseen)]
    command += ["--prototype", options.prototype, "--reduction", "100", "--noise", f"{shot},{read}"]
    command += ["--minutes", str(options.minutes), "--workers", str(WORKERS), "--strategy", strategy]
    command += ["--seed", str(seed), "--test-frames", "2", "--json"]
    begun = time.monotonic()
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    wall = time.monotonic() - begun
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}")
    (options.out / f"{strategy}-{seed}.log").write_text(ended.stdout)
    result = json.loads((folder / "result.json").read_text())
    judged, macs = judge((folder / "model.onnx").read_bytes(), _clips(options.unseen), FRAMES_JUDGED)
    trials = _trials(result["search"], f"{folder}-state")
    lineage = [trials[result["best_trial"]]]
    while lineage[-1].get("parent"):
        lineage.append(trials[lineage[-1]["parent"]])
    return {
        "design": strategy,
        "seed": seed,
        "psnr_db": judged,
        "mean_db": statistics.fmean(judged.values()),
        "macs_per_pixel": macs,
        "spec": lineage[0]["spec"],
        "train_seconds": sum(trial["train_seconds"] for trial in lineage),
        "trials": len(trials),
        "wall_seconds": wall,
    }


def _trials(search: str, state: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "autoisp_cli", "searches", "trials", search, "--state", state]
    listed = subprocess.run(
        [*command, "--json", "--limit", "100000"], stdout=subprocess.PIPE, text=True, check=True
    )
    return {trial["name"]: trial for trial in json.loads(listed.stdout)}


def _hand_made_jobs(options: argparse.Namespace) -> Iterator[tuple[argparse.Namespace, str, str, int]]:
    for effort in options.efforts:
        for seed in range(options.seeds):
            for name in hand_made(_limit(options)):
                yield options, effort, name, seed


def _hand_made(options: argparse.Namespace, effort: str, name: str, seed: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _kept(options.out / f"{name}-{effort}-{seed}.json", _trained, options, effort, name, seed)


def _trained(options: argparse.Namespace, effort: str, name: str, seed: int) -> dict[str, Any]:
    found = json.loads((options.out / f"{DEFAULT}-{seed}.json").read_text())
    seconds = found["train_seconds"] if effort == "same" else 60 * options.minutes
    footage = TrainingSet([(path.name, load_clip(path, FRAMES["train"])) for path in options.train], SENSOR)
    unseen = _clips(options.unseen)
    design = hand_made(_limit(options))[name]
    judged = train_and_judge(design, footage, unseen, TrainBudget(seconds=seconds), seed, FRAMES_JUDGED)
    return {
        "design": name,
        "seed": seed,
        "psnr_db": dict(judged.psnr_db),
        "mean_db": judged.mean_db,
        "macs_per_pixel": judged.macs_per_pixel,
        "steps": judged.steps,
        "train_seconds": judged.seconds,
    }


def _limit(options: argparse.Namespace) -> float:
    found = json.loads((options.out / f"{DEFAULT}-0" / "result.json").read_text())
    return float(found["budget"]["macs_per_pixel_limit"])


def _clips(paths: list[Path]) -> list[tuple[str, Frames]]:
    return [(path.name.partition(".")[0], load_clip(path, FRAMES["unseen"])) for path in paths]


def _compared(options: argparse.Namespace) -> dict[str, Any]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(options.out.glob("*.json")):
        label = path.stem.rpartition("-")[0]
        if label in (DEFAULT, PEER) or label.rpartition("-")[2] in options.efforts:
            rows.setdefault(label, []).append(json.loads(path.read_text()))
    means = {label: [row["mean_db"] for row in found] for label, found in rows.items()}
    median = {label: statistics.median(values) for label, values in means.items()}
    best = {
        effort: max((label for label in means if label.endswith(effort)), key=median.__getitem__)
        for effort in options.efforts
    }
    ahead = {
        label: [mine - theirs for mine, theirs in zip(means[DEFAULT], means[label], strict=True)]
        for label in (PEER, *best.values())
    }
    return {
        "minutes": options.minutes,
        "unseen": [path.name for path in options.unseen],
        "space": json.loads(SearchSpace().to_json()),
        "mean_db": {label: spread(values) for label, values in means.items()},
        "default_ahead_db": {label: spread(values) for label, values in ahead.items()},
        "runs": rows,
    }


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

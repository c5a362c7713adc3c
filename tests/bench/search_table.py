"""Trains every network of a small space once at two fidelities: the table behind `autoisp bench search`.

    python tests/bench/search_table.py train --footage DIR --out rows --shard 0/2 &
    python tests/bench/search_table.py train --footage DIR --out rows --shard 1/2
    python tests/bench/search_table.py pack --out rows --table services/autoisp_search/bench/table.csv.gz

Interrupted, it goes on where it was. The order is random, so a part of it is a fair sample of all.
"""

import argparse
import hashlib
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_core.spec import LayerType, SearchSpace, Spec, canonical_hash, cost
from autoisp_core.spec.enumeration import members
from autoisp_isp.evaluation import evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.training import train
from autoisp_isp.training_set import TrainingSet
from autoisp_worker.jobs.subjects import open_network
from autoisp_worker.jobs.timing import seconds_per_megapixel

SPACE = SearchSpace(
    types=(LayerType.CONV, LayerType.DEPTHWISE, LayerType.ADD),
    kernels=(1, 3),
    max_layers=3,
    widths=(8, 16),
    repeats=(1, 2),
    packings=(2, 4),
    frames=(3,),
    stem_kernels=(3,),
    head_kernels=(1,),
)
LIMIT = 3554.0
"""MAC per output pixel: a hundredth of the learned prototype's."""
STEPS = {"low": 120, "high": 480}
"""Steps in all; the high fidelity goes on from the low one's weights, as a promoted trial does."""
SEED = 0
SENSOR: SensorProfile = builtin("phone").with_identity_ccm().with_test_noise(Noise(0.01, 0.0005))
TRAIN, VALIDATION = (
    ("bikes.mp4", "bottle-detection.mp4"),
    ("car-detection.mp4", "carphone_pristine.mp4", "motorbike"),
)
FRAMES = {"train": 60, "validation": 12}
FRAMES_JUDGED = 4


def main() -> None:
    """Trains or packs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("train", "count"))
    parser.add_argument("--footage", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shard", default="0/1")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    specs = sorted(members(SPACE, LIMIT), key=canonical_hash)
    if options.action == "count":
        print(len(specs))
        return
    index, count = map(int, options.shard.split("/"))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"seed{options.seed}-{index}-of-{count}.jsonl"
    known = {
        json.loads(line)["hash"]
        for file in options.out.glob(f"seed{options.seed}-*.jsonl")
        for line in file.open()
    }
    footage = TrainingSet([(name, _load(options.footage / name, FRAMES["train"])) for name in TRAIN], SENSOR)
    clips = {name: _load(options.footage / name, FRAMES["validation"]) for name in VALIDATION}
    mine = [spec for spec in specs[index::count] if canonical_hash(spec) not in known]
    for done, spec in enumerate(mine, start=1):
        begun = time.monotonic()
        row = _row(spec, footage, clips, options.seed)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"{done}/{len(mine)} {time.monotonic() - begun:.1f} s {row['low']['mean']:.2f} {row['high']['mean']:.2f} dB "
            f"{row['macs_per_pixel']:.0f} MAC/px",
            flush=True,
        )


def _row(spec: Spec, footage: TrainingSet, clips: dict, seed: int) -> dict:
    row: dict = {"hash": canonical_hash(spec), "spec": json.loads(spec.to_json())}
    first = train(spec, footage, TrainBudget(steps=STEPS["low"]), seed)
    row["low"] = _judged(spec, first.state_dict, clips)
    rest = train(
        spec, footage, TrainBudget(steps=STEPS["high"] - STEPS["low"]), seed + 1, init_from=first.state_dict
    )
    row["high"] = _judged(spec, rest.state_dict, clips)
    row["train_seconds"] = {"low": round(first.seconds, 2), "high": round(first.seconds + rest.seconds, 2)}
    subject = open_network(export_onnx(build(spec)))
    frame = clips[VALIDATION[0]]
    row["seconds_per_megapixel"] = round(
        seconds_per_megapixel({"": subject.developer}, frame, SENSOR, seconds=0.3)[""], 5
    )
    assert subject.developer.macs_per_pixel == cost(spec).macs_per_pixel
    row["macs_per_pixel"], row["parameters"] = cost(spec).macs_per_pixel, subject.parameters
    row["bytes_per_pixel"] = cost(spec).bytes_per_pixel
    return row


def _judged(spec: Spec, weights: dict, clips: dict) -> dict[str, float]:
    network = build(spec)
    network.load_state_dict(weights)
    developer = open_network(export_onnx(network)).developer
    means = {}
    for name, frames in clips.items():
        digest = hashlib.sha256(name.encode()).hexdigest()
        judged = evaluate(
            developer,
            frames,
            SENSOR,
            SENSOR.evaluation_noises(),
            1,
            spread_indices(len(frames), FRAMES_JUDGED),
            digest,
        )
        means[name.partition(".")[0]] = round(float(np.mean([frame.psnr for frame in judged])), 3)
    means["mean"] = round(float(np.mean(list(means.values()))), 3)
    return means


def _load(path: Path, count: int) -> np.ndarray:
    if path.is_dir():
        frames = [cv2.imread(str(file)) for file in sorted(path.glob("*.png"))]
    else:
        video, frames = cv2.VideoCapture(str(path)), []
        while (read := video.read())[0]:
            frames.append(read[1])
    frames = (
        frames[:: max(1, len(frames) // count)]
        if count == FRAMES["train"] and len(frames) > 4 * count
        else frames
    )
    start = max(0, (len(frames) - count) // 2)
    return np.stack([frame[..., ::-1] for frame in frames[start : start + count]])


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

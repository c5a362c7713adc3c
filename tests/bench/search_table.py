"""Trains every network of a small space once at two fidelities: the table behind `autoisp bench search`.

    python tests/bench/search_table.py train --footage DIR --out rows --shard 0/2 &
    python tests/bench/search_table.py train --footage DIR --out rows --shard 1/2
    python tests/bench/search_table.py pack --out rows --table services/autoisp_search/bench

Interrupted, it goes on where it was. The order is random, so a part of it is a fair sample of all. Rows of a
second seed, for some of the networks only, say how far a network's results scatter.
"""

import argparse
import hashlib
import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import numpy.typing as npt
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
from autoisp_search.bench.table import FIDELITIES, RECIPE_FILE, ROWS_FILE, Row, pack
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
    recurrent=(0,),
)
LIMIT = 3554.0
"""MAC per output pixel: a hundredth of the learned prototype's."""
STEPS = {"low": 120, "high": 480}
"""Steps in all; the high fidelity goes on from the low one's weights, as a promoted trial does."""
SEED, OTHER_SEEDS = 0, (1,)
RELEASES = ("torch", "onnxruntime", "numpy")
Frames = npt.NDArray[np.uint8]
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
    parser.add_argument("action", choices=("train", "count", "pack"))
    parser.add_argument("--footage", type=Path, help="the clips, to train")
    parser.add_argument("--out", type=Path, default=Path("rows"), help="folder of the rows")
    parser.add_argument("--table", type=Path, help="folder of the packed table")
    parser.add_argument("--shard", default="0/1", help="which part of the networks, of how many")
    parser.add_argument("--seed", type=int, default=SEED, help="of the training")
    parser.add_argument("--most", type=int, help="train so many at most")
    options = parser.parse_args()
    specs = sorted(members(SPACE, LIMIT), key=canonical_hash)
    if options.action == "count":
        print(len(specs))
    elif options.action == "pack":
        _pack(options.out, options.table, specs)
    else:
        index, count = map(int, options.shard.split("/"))
        path = options.out / f"seed{options.seed}-{index}-of-{count}.jsonl"
        known = set(_rows(options.out, options.seed))
        mine = [spec for spec in specs[index::count] if canonical_hash(spec) not in known]
        _train(mine[: options.most], options.footage, path, options.seed)


def _train(specs: Sequence[Spec], footage: Path, path: Path, seed: int) -> None:
    clips = {name: _load(footage / name, FRAMES["validation"]) for name in VALIDATION}
    training = TrainingSet([(name, _load(footage / name, FRAMES["train"])) for name in TRAIN], SENSOR)
    path.parent.mkdir(parents=True, exist_ok=True)
    for done, spec in enumerate(specs, start=1):
        begun = time.monotonic()
        row = _row(spec, training, clips, seed)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        seconds, qualities = time.monotonic() - begun, (row["low"]["mean"], row["high"]["mean"])
        print(
            f"{done}/{len(specs)} {seconds:.1f} s",
            *(f"{quality:.2f} dB" for quality in qualities),
            flush=True,
        )


def _row(spec: Spec, footage: TrainingSet, clips: Mapping[str, Frames], seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"hash": canonical_hash(spec), "spec": json.loads(spec.to_json())}
    first = train(spec, footage, TrainBudget(steps=STEPS["low"]), seed)
    row["low"] = _judged(spec, first.state_dict, clips)
    rest = train(
        spec, footage, TrainBudget(steps=STEPS["high"] - STEPS["low"]), seed + 1, init_from=first.state_dict
    )
    row["high"] = _judged(spec, rest.state_dict, clips)
    row["train_seconds"] = {"low": round(first.seconds, 2), "high": round(first.seconds + rest.seconds, 2)}
    subject = open_network(export_onnx(build(spec)))
    frames = list(clips[VALIDATION[0]])
    row["seconds_per_megapixel"] = round(
        seconds_per_megapixel({"": subject.developer}, frames, SENSOR, seconds=0.3)[""], 5
    )
    assert subject.developer.macs_per_pixel == cost(spec).macs_per_pixel
    row["macs_per_pixel"], row["parameters"] = cost(spec).macs_per_pixel, subject.parameters
    row["bytes_per_pixel"] = cost(spec).bytes_per_pixel
    return row


def _judged(spec: Spec, weights: Mapping[str, torch.Tensor], clips: Mapping[str, Frames]) -> dict[str, float]:
    network = build(spec)
    network.load_state_dict(weights)
    developer = open_network(export_onnx(network)).developer
    means = {}
    for name, frames in clips.items():
        digest = hashlib.sha256(name.encode()).hexdigest()
        indices = spread_indices(len(frames), FRAMES_JUDGED)
        judged = evaluate(developer, list(frames), SENSOR, SENSOR.evaluation_noises(), 1, indices, digest)
        means[_clip(name)] = round(float(np.mean([frame.psnr for frame in judged])), 3)
    means["mean"] = round(float(np.mean(list(means.values()))), 3)
    return means


def _pack(out: Path, table: Path, specs: Sequence[Spec]) -> None:
    """Writes the table and its recipe, if every network of the space is there."""
    rows = _rows(out, SEED)
    missing = [spec for spec in specs if canonical_hash(spec) not in rows]
    if missing:
        raise SystemExit(
            f"{len(missing)} of {len(specs)} networks are not trained yet; run 'train' to the end"
        )
    clips = [_clip(name) for name in VALIDATION]
    found = [_packed(rows[canonical_hash(spec)], clips) for spec in specs]
    (table / ROWS_FILE).write_bytes(pack(found, clips))
    recipe = {
        "space": json.loads(SPACE.to_json()),
        "macs_limit": LIMIT,
        "steps": STEPS,
        "clips": clips,
        "sensor": asdict(SENSOR),
        "footage": {"train": TRAIN, "validation": VALIDATION, "frames": FRAMES, "judged": FRAMES_JUDGED},
        "seed": SEED,
        "scatter_between_seeds": _scatter(rows, {seed: _rows(out, seed) for seed in OTHER_SEEDS}),
        "releases": {name: version(name) for name in RELEASES},
    }
    (table / RECIPE_FILE).write_text(json.dumps(recipe, indent=1) + "\n")


def _packed(row: Mapping[str, Any], clips: Sequence[str]) -> Row:
    return Row(
        spec=Spec.from_json(json.dumps(row["spec"])),
        clips={fidelity: tuple(row[fidelity][clip] for clip in clips) for fidelity in FIDELITIES},
        train_seconds=row["train_seconds"],
        macs_per_pixel=row["macs_per_pixel"],
        parameters=row["parameters"],
        bytes_per_pixel=row["bytes_per_pixel"],
        seconds_per_megapixel=row["seconds_per_megapixel"],
    )


def _scatter(
    rows: Mapping[str, Mapping[str, Any]], others: Mapping[int, Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Median standard deviation in dB of one network's results over training seeds, and between networks."""
    pairs = [(rows[name], row) for found in others.values() for name, row in found.items() if name in rows]
    between = {
        fidelity: round(_robust_sd([row[fidelity]["mean"] for row in rows.values()]), 3)
        for fidelity in FIDELITIES
    }
    within = {
        fidelity: round(
            _robust_sd([(a[fidelity]["mean"] - b[fidelity]["mean"]) / 2**0.5 for a, b in pairs]), 3
        )
        for fidelity in FIDELITIES
        if pairs
    }
    return {"networks_trained_again": len(pairs), "within_db": within, "between_db": between}


def _robust_sd(values: Sequence[float]) -> float:
    """From the median absolute deviation: a few networks diverge."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - middle) for value in values)


def _rows(out: Path, seed: int) -> dict[str, dict[str, Any]]:
    """All rows of a training seed, by the hash that specs have today."""
    return {canonical_hash(Spec.from_json(json.dumps(row["spec"]))): row for row in _lines(out, seed)}


def _lines(out: Path, seed: int) -> Iterator[dict[str, Any]]:
    for file in sorted(out.glob(f"seed{seed}-*.jsonl")):
        for line in file.read_text().splitlines():
            yield json.loads(line)


def _clip(name: str) -> str:
    return name.partition(".")[0]


def _load(path: Path, count: int) -> Frames:
    if path.is_dir():
        read = [cv2.imread(str(file)) for file in sorted(path.glob("*.png"))]
        frames = [frame for frame in read if frame is not None]
    else:
        frames = list(_decoded(path))
    if count == FRAMES["train"] and len(frames) > 4 * count:
        frames = frames[:: max(1, len(frames) // count)]
    start = max(0, (len(frames) - count) // 2)
    return np.stack([frame[..., ::-1] for frame in frames[start : start + count]]).astype(np.uint8)


def _decoded(path: Path) -> Iterator[Any]:
    video = cv2.VideoCapture(str(path))
    while (read := video.read())[0]:
        yield read[1]


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

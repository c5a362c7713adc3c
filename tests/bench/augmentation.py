"""Training without augmentation, with random and with adversarial augmentation, at equal steps.

Each network is judged as exported on clips that it has not seen: under the conditions it was trained for (the
centre), and shifted: noise x 2, gain up and down a stop, white balance 20 % to red and to blue. Then the time
that choosing and doing takes of a step. Finished trainings are kept in --work, one line each: the same
command goes on where it was stopped.

    python tests/bench/augmentation.py --train bikes.mp4 bottle.mp4 --test cars.mp4 race/ --seeds 3
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_core.training import Augmentation
from autoisp_isp.augment.settings import AugmentationSettings
from autoisp_isp.design import Design
from autoisp_isp.evaluation import evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.network import PixelNetwork
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.runtime_session import load_session
from autoisp_isp.training import train
from autoisp_isp.training_set import TrainingSet
from hand_made import FRAMES, Frames, hand_made, load_clip
from record import record

NOISE = Noise(0.01, 0.0005)
SENSOR = builtin("phone").with_test_noise(NOISE)
CENTRE = "centre"
_STOP, _BALANCE = 2.0, 1.2


@dataclass(frozen=True)
class Condition:
    """Under which a network is judged."""

    sensor: SensorProfile
    noise: Noise


def conditions(sensor: SensorProfile, noise: Noise) -> dict[str, Condition]:
    """The centre and what is shifted from it, by name. A camera tells its network of all of them."""
    red, green, blue = sensor.gains

    def gained(*gains: float) -> Condition:
        return Condition(replace(sensor, gains=gains), noise)  # type: ignore[arg-type]  # three of them

    return {
        CENTRE: Condition(sensor, noise),
        "noise x 2": Condition(sensor, noise.scaled(2.0)),
        "gain + 1 stop": gained(red * _STOP, green * _STOP, blue * _STOP),
        "gain - 1 stop": gained(red / _STOP, green / _STOP, blue / _STOP),
        "red + 20 %": gained(red * _BALANCE, green, blue / _BALANCE),
        "blue + 20 %": gained(red / _BALANCE, green, blue * _BALANCE),
    }


def judged(
    model: bytes, unseen: Sequence[tuple[str, Frames]], sensor: SensorProfile, frames: int
) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB by condition and clip, of evenly spread frames of the exported graph."""
    developer = OnnxPrototype(load_session(model), None)
    result: dict[str, dict[str, float]] = {}
    for name, condition in conditions(sensor, NOISE).items():
        result[name] = {}
        for clip, pictures in unseen:
            digest = hashlib.sha256(clip.encode()).hexdigest()
            indices = spread_indices(len(pictures), frames)
            frames_judged = evaluate(
                developer, pictures, condition.sensor, condition.noise, 1, indices, digest
            )
            result[name][clip] = round(statistics.fmean(frame.psnr for frame in frames_judged), 3)
    return result


def run(
    design: Design,
    footage: TrainingSet,
    unseen: Sequence[tuple[str, Frames]],
    options: argparse.Namespace,
    mode: Augmentation,
    seed: int,
) -> dict[str, Any]:
    """One training and its judgement, as a line of the work file."""
    augmentation = AugmentationSettings(
        mode,
        share=options.share,
        severity=options.severity,
        learning_rate=options.policy_rate,
        entropy_weight=options.entropy_weight,
    )
    trained = train(
        design, footage, TrainBudget(steps=options.steps), seed, recipe=Recipe(augmentation=augmentation)
    )
    network = design.build()
    assert isinstance(network, PixelNetwork)
    network.load_state_dict(trained.state_dict)
    psnr = judged(export_onnx(network), unseen, SENSOR, options.frames)
    row: dict[str, Any] = {
        **_key(options, mode, seed),
        "psnr_db": psnr,
        "train_seconds": round(trained.seconds, 1),
    }
    if trained.policy is not None:
        row["policy"] = {
            "entropy": round(trained.policy.entropy, 4),
            "ratio": round(trained.policy.ratio, 3),
            "rollbacks": trained.policy.rollbacks,
            "operations": {name: round(share, 3) for name, share in trained.policy.operations.items()},
        }
    return row


def step_milliseconds(design: Design, footage: TrainingSet, steps: int, repeats: int = 5) -> dict[str, float]:
    """Processor time of a training step by mode, the least of some repeats in turns."""
    best = dict.fromkeys((str(mode) for mode in Augmentation), float("inf"))
    for _ in range(repeats):
        for mode in Augmentation:
            recipe = Recipe(augmentation=AugmentationSettings(mode))
            begun = time.process_time()
            train(design, footage, TrainBudget(steps=steps), 0, recipe=recipe)
            best[mode] = min(best[mode], 1e3 * (time.process_time() - begun) / steps)
    return {mode: round(value, 3) for mode, value in best.items()}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """PSNR by mode and condition, mean over the clips: of the seeds, and their mean and spread."""
    table: dict[str, Any] = {}
    for mode in Augmentation:
        mine = [row for row in rows if row["mode"] == mode]
        if not mine:
            continue
        scores = {
            name: [statistics.fmean(row["psnr_db"][name].values()) for row in mine]
            for name in mine[0]["psnr_db"]
        }
        shifted = [name for name in scores if name != CENTRE]
        scores["shifted"] = [
            statistics.fmean(values) for values in zip(*(scores[name] for name in shifted), strict=True)
        ]
        table[mode] = {
            name: {
                "mean_db": round(statistics.fmean(values), 3),
                "spread_db": round(statistics.pstdev(values), 3),
                "seeds": [round(value, 3) for value in values],
            }
            for name, values in scores.items()
        }
    return table


def _key(options: argparse.Namespace, mode: Augmentation, seed: int) -> dict[str, Any]:
    """What tells one training from another."""
    policy = {"policy_rate": options.policy_rate, "entropy_weight": options.entropy_weight}
    return {
        **(policy if mode is Augmentation.ADVERSARIAL else {}),
        "mode": str(mode),
        "seed": seed,
        "steps": options.steps,
        "limit": options.limit,
        "share": options.share,
        "severity": options.severity,
        "train": [path.name for path in options.train],
        "test": [path.name for path in options.test],
        "frames": options.frames,
    }


def main() -> None:
    """Trains what is not in the work file yet, and records the figures of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="videos or folders of PNG files")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="the same, never trained on")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--limit", type=float, default=1500.0, help="MAC per output pixel of the 3-frame stack"
    )
    parser.add_argument("--share", type=float, default=AugmentationSettings().share)
    parser.add_argument("--severity", type=float, default=AugmentationSettings().severity)
    parser.add_argument("--policy-rate", type=float, default=AugmentationSettings().learning_rate)
    parser.add_argument("--entropy-weight", type=float, default=AugmentationSettings().entropy_weight)
    parser.add_argument(
        "--modes", type=Augmentation, nargs="+", default=list(Augmentation), choices=list(Augmentation)
    )
    parser.add_argument("--frames", type=int, default=3, help="judged, of each clip")
    parser.add_argument("--work", type=Path, default=Path("augmentation.jsonl"), help="finished trainings")
    parser.add_argument("--overhead-steps", type=int, default=200, help="0: don't measure the overhead")
    options = parser.parse_args()
    design = hand_made(options.limit)["plain"]
    footage = TrainingSet([(path.name, load_clip(path, FRAMES["train"])) for path in options.train], SENSOR)
    unseen = [(path.name, load_clip(path, FRAMES["unseen"])) for path in options.test]
    done = (
        [json.loads(line) for line in options.work.read_text().splitlines()] if options.work.exists() else []
    )
    rows = []
    for seed in range(options.seeds):
        for mode in options.modes:
            key = _key(options, mode, seed)
            row = next((old for old in done if old | key == old), None)
            if row is None:
                row = run(design, footage, unseen, options, mode, seed)
                with options.work.open("a") as work:
                    work.write(json.dumps(row) + "\n")
            rows.append(row)
            print(json.dumps(row), flush=True)
    figures: dict[str, Any] = {"design": design.name, "psnr": summary(rows), "trainings": rows}
    if options.overhead_steps:
        figures["step_milliseconds"] = step_milliseconds(design, footage, options.overhead_steps)
    record("augmentation", figures)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

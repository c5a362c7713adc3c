"""Dynamic against static convolutions at equal arithmetic and equal steps, and what the deploy variants lose.

Each design is a known block, once with plain and once with dynamic convolutions, as wide as the limit allows.
A line of JSON for each training goes to `--out` at once; a run that is started again does what is missing
and leaves lines of other settings alone.

    python tests/bench/dynamic.py --footage DIR --steps 1000 --seeds 3 --out dynamic.jsonl
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from autoisp_core.spec import RESIDUAL_PAIR, LayerType, Spec, cost
from autoisp_core.spec.anchors import GATED, TWO_SCALES
from autoisp_isp.deploy import coefficients_over, frozen, lagged
from autoisp_isp.evaluation import spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.synthesis import RawClip
from autoisp_isp.training import train
from autoisp_isp.training_set import TrainingSet
from hand_made import FRAMES, SENSOR, TRAIN, UNSEEN, Frames, judge, load_clip
from record import record, spread

LIMIT = 3554.0
"""MAC per output pixel: a hundredth of the learned prototype's."""
BLOCKS = {
    "pair": Spec(RESIDUAL_PAIR, 16, repeats=2, packing=2, frames=1, head_kernel=1, recurrent=1),
    "two scales": Spec(TWO_SCALES, 16, repeats=2, packing=2, frames=1, head_kernel=1, recurrent=1),
    "gated": Spec(GATED, 16, repeats=3, packing=4, frames=1, head_kernel=1, recurrent=1),
}
_WIDTHS = range(64, 3, -2)
_FRAMES_AVERAGED, _WARM_UP = 6, 5
_STATIC, _DYNAMIC = "static", "dynamic"


@dataclass(frozen=True)
class Design:
    """One of the networks that are compared."""

    block: str
    kind: str
    spec: Spec


def designs(limit: float) -> list[Design]:
    """Both kinds of each block, as wide as fits into `limit` MAC per output pixel."""
    found = []
    for block, spec in BLOCKS.items():
        for kind, made in ((_STATIC, spec), (_DYNAMIC, with_dynamic_layers(spec))):
            sizes = (replace(made, width=width) for width in _WIDTHS)
            found.append(Design(block, kind, next(s for s in sizes if cost(s).macs_per_pixel <= limit)))
    return found


def with_dynamic_layers(spec: Spec) -> Spec:
    """The spec with dynamic convolutions in place of the plain ones in its block."""
    block = tuple(
        replace(layer, type=LayerType.DYNAMIC) if layer.type == LayerType.CONV else layer
        for layer in spec.block
    )
    return replace(spec, block=block)


def key(design: Design, options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """What tells one training from another."""
    return {
        "block": design.block,
        "kind": design.kind,
        "seed": seed,
        "limit": options.limit,
        "steps_allowed": options.steps,
        "seconds_allowed": options.seconds,
        "device": options.device,
    }


def run(
    design: Design,
    clips: Sequence[tuple[str, Frames]],
    unseen: Sequence[tuple[str, Frames]],
    budget: TrainBudget,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Trains one network and judges its exported graph, of dynamic ones the deploy variants too."""
    trained = train(design.spec, TrainingSet(clips, SENSOR), budget, seed, device)
    network = build(design.spec)
    network.load_state_dict(trained.state_dict)
    models = {"as it is": export_onnx(network)}
    if design.kind == _DYNAMIC:
        means = coefficients_over(network, samples(clips, design.spec))
        models |= {"lagged": lagged(network, means), "frozen": export_onnx(frozen(network, means))}
    psnr: dict[str, Mapping[str, float]] = {}
    for name, model in models.items():
        psnr[name], macs = judge(model, unseen)
    return {
        "width": design.spec.width,
        "macs_per_pixel": round(cost(design.spec).macs_per_pixel, 1),
        "macs_per_pixel_of_the_last_variant": round(macs, 1),
        "mean_db": {name: round(float(np.mean(list(values.values()))), 3) for name, values in psnr.items()},
        "psnr_db": {
            name: {clip: round(value, 3) for clip, value in values.items()} for name, values in psnr.items()
        },
        "steps": trained.steps,
        "train_seconds": round(trained.seconds, 1),
    }


def samples(clips: Sequence[tuple[str, Frames]], spec: Spec) -> Any:
    """Whole frames of the training clips, each after a few that fill the state."""
    noise, window = SENSOR.evaluation_noises()[0], spec.frames + (_WARM_UP if spec.recurrent else 0)
    for name, frames in clips:
        clip = RawClip(frames, SENSOR, name, 1)
        for index in spread_indices(len(frames), _FRAMES_AVERAGED):
            yield clip.sample(index, window, noise)


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Spread over the seeds of each network, of what dynamic convolutions gain, and of what variants lose."""
    mean = {(row["block"], row["kind"], row["seed"]): row["mean_db"] for row in rows}
    gains: dict[str, Any] = {}
    for block in BLOCKS:
        both = [
            (values, mean[block, _STATIC, seed]["as it is"])
            for (name, kind, seed), values in mean.items()
            if (name, kind) == (block, _DYNAMIC) and (block, _STATIC, seed) in mean
        ]
        if both:
            gains[block] = {
                "static_db": spread([static for _, static in both]),
                "dynamic_db": spread([values["as it is"] for values, _ in both]),
                "gain_db": spread([values["as it is"] - static for values, static in both]),
                "lagged_loses_db": spread([values["as it is"] - values["lagged"] for values, _ in both]),
                "frozen_loses_db": spread([values["as it is"] - values["frozen"] for values, _ in both]),
            }
    return gains


def main() -> None:
    """Appends to `--out`, then writes `results/dynamic.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--footage", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, kept between runs")
    parser.add_argument("--limit", type=float, default=LIMIT, help="MAC per output pixel")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float, help="of each training, in place of or beside steps")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(BLOCKS), help="blocks; all if not given")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    budget = TrainBudget(steps=options.steps, seconds=options.seconds)
    clips = [(name, load_clip(options.footage / name, FRAMES["train"])) for name in TRAIN]
    unseen = [(name, load_clip(options.footage / name, FRAMES["unseen"])) for name in UNSEEN]
    done = options.out.read_text().splitlines() if options.out.exists() else []
    known = [json.loads(line) for line in done]
    rows = []
    for seed in range(options.seeds):
        for design in designs(options.limit):
            wanted = key(design, options, seed)
            row = next((old for old in known if old | wanted == old), None)
            if row is None:
                if design.block not in (options.only or BLOCKS):
                    continue
                row = wanted | run(design, clips, unseen, budget, seed, options.device)
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
            rows.append(row)
    steps_or_seconds = {"steps": options.steps, "seconds": options.seconds, "device": options.device}
    record(
        "dynamic",
        {"what": __doc__.splitlines()[0], **steps_or_seconds, "blocks": summary(rows), "rows": rows},
    )


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

"""Four networks as engineers would draw them by hand, sized to nearly spend a given arithmetic budget.

They are what a search has to beat: same contract, same fixed maths, same training, same judge.

    python tests/bench/hand_made.py --footage DIR --steps 600 --seeds 3
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import numpy.typing as npt
import torch
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_core.spec import LayerType, Spec, cost
from autoisp_core.spec.blocks import chain
from autoisp_isp.cost import count_cost
from autoisp_isp.design import Design
from autoisp_isp.evaluation import evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.runtime_session import load_session
from autoisp_isp.training import train
from autoisp_isp.training_set import TrainingSet
from hand_made_unet import UNet, export

Frames = npt.NDArray[np.uint8]

LIMIT = 3554.0
"""MAC per output pixel: a hundredth of the learned prototype's."""
SENSOR: SensorProfile = builtin("phone").with_identity_ccm().with_test_noise(Noise(0.01, 0.0005))
TRAIN, UNSEEN = (
    ("bikes.mp4", "bottle-detection.mp4"),
    ("car-detection.mp4", "carphone_pristine.mp4", "motorbike"),
)
FRAMES = {"train": 60, "unseen": 24}
FRAMES_JUDGED = 4
_WIDTHS = range(64, 3, -1)


@dataclass(frozen=True)
class Judged:
    """What a training came to: mean PSNR in dB of each unseen clip, from the exported graph, and its cost."""

    psnr_db: Mapping[str, float]
    macs_per_pixel: float
    steps: int
    seconds: float

    @property
    def mean_db(self) -> float:
        """Mean over the clips."""
        return float(np.mean(list(self.psnr_db.values())))


def hand_made(limit: float = LIMIT) -> dict[str, Design]:
    """The four designs by name, each as wide as fits into `limit` MAC per output pixel.

    `fusion` follows EMVD (arXiv 2103.05407): what earlier frames showed is kept where little has changed, by
    weights read from the change, then denoised and refined; in feature space, which ended 1 dB above the same
    in a learned wavelet domain at a quarter of the size.
    """
    plain = chain([(LayerType.CONV, 3)] * 2)
    separable = chain([(LayerType.DEPTHWISE, 3), (LayerType.CONV, 1)] * 2)
    return {
        "plain": _of_spec(limit, lambda width: Spec(plain, width, repeats=2, head_kernel=1)),
        "separable": _of_spec(limit, lambda width: Spec(separable, width, repeats=3, head_kernel=1)),
        "unet": _unet(limit),
        "fusion": _of_spec(
            limit, lambda width: Spec(plain, width, repeats=2, frames=1, head_kernel=1, recurrent=1)
        ),
    }


def _of_spec(limit: float, spec_of: Callable[[int], Spec]) -> Design:
    for width in _WIDTHS:
        if cost(spec_of(width)).macs_per_pixel <= limit:
            return Design.of(spec_of(width))
    raise ValueError(f"no width fits into {limit} MAC per pixel")


def _unet(limit: float) -> Design:
    for width in _WIDTHS:
        if count_cost(export(UNet(width))).macs_per_pixel <= limit:
            return Design(f"unet {width}", partial(UNet, width), frames=3)
    raise ValueError(f"no U-Net fits into {limit} MAC per pixel")


def train_and_judge(
    design: Design | Spec,
    footage: TrainingSet,
    unseen: Sequence[tuple[str, Frames]],
    budget: TrainBudget,
    seed: int,
    frames_judged: int = FRAMES_JUDGED,
) -> Judged:
    """Trains a design as every trial is trained, and judges its exported graph.

    Args:
        design: hand-made, or a spec that a search found.
        footage: what it is trained on.
        unseen: (name, frames (T, H, W, 3) uint8) of each clip that it is judged on.
        budget: of the training: steps or seconds.
        seed: of weights and batches; the noise of the judged frames is always the same.
        frames_judged: of each clip.
    """
    design = Design.of(design) if isinstance(design, Spec) else design
    trained = train(design, footage, budget, seed)
    network = design.build()
    network.load_state_dict(trained.state_dict)
    model = export(network) if isinstance(network, UNet) else export_onnx(network)
    psnr, macs = judge(model, unseen, frames_judged)
    return Judged(psnr, macs, trained.steps, trained.seconds)


def judge(
    model: bytes, unseen: Sequence[tuple[str, Frames]], frames_judged: int = FRAMES_JUDGED
) -> tuple[dict[str, float], float]:
    """Mean PSNR in dB of an ONNX graph on evenly spread frames of each clip, and its MAC per output pixel."""
    macs = count_cost(model).macs_per_pixel
    developer = OnnxPrototype(load_session(model), macs)
    noises = SENSOR.evaluation_noises()
    psnr = {}
    for name, frames in unseen:
        digest = hashlib.sha256(name.encode()).hexdigest()
        indices = spread_indices(len(frames), frames_judged)
        judged = evaluate(developer, frames, SENSOR, noises, 1, indices, digest)
        psnr[name] = float(np.mean([frame.psnr for frame in judged]))
    return psnr, macs


def load_clip(path: Path, count: int) -> Frames:
    """`count` consecutive frames (T, H, W, 3) uint8 from the middle of a video or a folder of PNG files."""
    if path.is_dir():
        frames = [cv2.imread(str(file)) for file in sorted(path.glob("*.png"))]
    else:
        video, frames = cv2.VideoCapture(str(path)), []
        while (read := video.read())[0]:
            frames.append(read[1])
    start = max(0, (len(frames) - count) // 2)
    return np.stack([frame[..., ::-1] for frame in frames[start : start + count] if frame is not None])


def main() -> None:
    """Prints a line of JSON for each design and seed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--footage", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--limit", type=float, default=LIMIT, help="MAC per output pixel")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="designs; all if not given")
    options = parser.parse_args()
    footage = TrainingSet(
        [(name, load_clip(options.footage / name, FRAMES["train"])) for name in TRAIN], SENSOR
    )
    unseen = [(name, load_clip(options.footage / name, FRAMES["unseen"])) for name in UNSEEN]
    budget = TrainBudget(steps=options.steps, seconds=options.seconds)
    for seed in range(options.seeds):
        for name, design in hand_made(options.limit).items():
            if options.only and name not in options.only:
                continue
            begun = time.monotonic()
            judged = train_and_judge(design, footage, unseen, budget, seed)
            row = {
                "design": name,
                "name": design.name,
                "seed": seed,
                "mean_db": round(judged.mean_db, 3),
                "psnr_db": {clip: round(value, 3) for clip, value in judged.psnr_db.items()},
                "macs_per_pixel": round(judged.macs_per_pixel, 1),
                "steps": judged.steps,
                "train_seconds": round(judged.seconds, 1),
                "seconds": round(time.monotonic() - begun, 1),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

"""A carried state against a window of three frames: equal arithmetic, equal steps, unseen clips.

    python tests/bench/recurrent.py --train A.mp4 B.mp4 --static C.mp4 --moving D.mp4 E/ --out DIR

Both are plain residual networks, each as wide as the arithmetic allows. Beside whole clips, static and moving
ones, it judges the frames after a cut, where one unseen clip goes over into the next: with the state reset by
the product's own detection, with a state that remembers the other scene, and with a window over both. dB from
the exported graphs. Interrupted, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from autoisp_isp.cost import count_cost
from autoisp_isp.evaluation import Developer, Stream, evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.runtime_session import OnnxNetwork, load_session
from autoisp_isp.training import train
from autoisp_isp.training_set import TrainingSet
from hand_made import LIMIT, SENSOR, Frames, hand_made, load_clip
from record import record, spread

STATE, WINDOW = "fusion", "plain"
"""Names of the two designs, see :func:`hand_made.hand_made`."""
FRAMES = {"train": 250, "unseen": 48}
FRAMES_JUDGED = 8
BEFORE = 13
"""Frames of the other scene before a cut: as many as settle a state, and one."""
AFTER = (0, 1, 2, 4, 7)
"""Frames after the cut that are judged: 0 is the scene's first. Clips need as many."""
_SEED = 1


class Remembering:
    """A network whose state is never reset."""

    recurrent = True

    def __init__(self, network: OnnxNetwork) -> None:
        self._network = network
        self.frames = network.contract.frames

    def start(self) -> Stream:
        """See :class:`autoisp_isp.evaluation.Developer`."""
        return self._network.start(resets=False)


def main() -> None:
    """Trains and judges what is missing, then records the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", type=Path, nargs="+", required=True)
    parser.add_argument("--static", type=Path, nargs="+", required=True, help="unseen, the camera stands")
    parser.add_argument("--moving", type=Path, nargs="+", required=True, help="unseen, the camera moves")
    parser.add_argument("--limit", type=float, default=LIMIT, help="MAC per output pixel")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True, help="folder of the unfinished comparison")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    footage = TrainingSet([(path.name, load_clip(path, FRAMES["train"])) for path in options.train], SENSOR)
    groups = {
        kind: {path.stem: load_clip(path, FRAMES["unseen"]) for path in getattr(options, kind)}
        for kind in ("static", "moving")
    }
    rows = [
        _kept(options.out / f"{name}-{options.steps}-{seed}.json", options, footage, groups, name, seed)
        for seed in range(options.seeds)
        for name in (STATE, WINDOW)
    ]
    record("recurrent", {"steps": options.steps, "limit": options.limit, **compared(rows), "runs": rows})


def _kept(
    path: Path,
    options: argparse.Namespace,
    footage: TrainingSet,
    groups: Mapping[str, Mapping[str, Frames]],
    name: str,
    seed: int,
) -> dict[str, Any]:
    settings = {
        "steps": options.steps,
        "limit": options.limit,
        "device": options.device,
        **{kind: [clip.name for clip in getattr(options, kind)] for kind in ("train", "static", "moving")},
    }
    if not path.exists():
        design = hand_made(options.limit)[name]
        trained = train(design, footage, TrainBudget(steps=options.steps), seed, options.device)
        network: Any = design.build()
        network.load_state_dict(trained.state_dict)
        model = export_onnx(network)
        row = {
            "design": name,
            "seed": seed,
            "macs_per_pixel": count_cost(model).macs_per_pixel,
            "train_seconds": trained.seconds,
            "db": dict(judged(load_session(model), groups)),
            "settings": settings,
        }
        path.write_text(json.dumps(row, indent=1))
        print(f"{path.stem}: {row['db']}", flush=True)
    kept: dict[str, Any] = json.loads(path.read_text())
    if kept.pop("settings", None) != settings:
        raise SystemExit(f"{path} is of other settings; use another --out")
    return kept


def judged(network: OnnxNetwork, groups: Mapping[str, Mapping[str, Frames]]) -> Iterator[tuple[str, float]]:
    """Mean dB of each clip as `static/NAME`, and of frames behind cuts as `after/0`, `after/1`, ….

    Of a network with state there is also `remembering/0`, …: the same frames where nothing resets it.
    """
    developer = OnnxPrototype(network, 0.0)
    for kind, clips in groups.items():
        for name, frames in clips.items():
            indices = spread_indices(len(frames), FRAMES_JUDGED)
            yield f"{kind}/{name}", statistics.fmean(_psnr(developer, frames, indices, name))
    developers: dict[str, Developer] = {"after": developer}
    if network.contract.recurrent:
        developers["remembering"] = Remembering(network)
    clips = [frames for group in groups.values() for frames in group.values()]
    films = [_spliced(one, other) for one, other in pairwise([*clips, clips[0]])]
    for label, each in developers.items():
        psnr = [
            _psnr(each, film, [cut + later for later in AFTER], f"film {at}")
            for at, (film, cut) in enumerate(films)
        ]
        for later, values in zip(AFTER, zip(*psnr, strict=True), strict=True):
            yield f"{label}/{later}", statistics.fmean(values)


def _psnr(developer: Developer, frames: Frames, indices: Sequence[int], digest: str) -> list[float]:
    noises = SENSOR.evaluation_noises()
    return [frame.psnr for frame in evaluate(developer, frames, SENSOR, noises, _SEED, indices, digest)]


def _spliced(one: Frames, other: Frames) -> tuple[Frames, int]:
    """The first frames of one clip, then those of the other, as much of their corners as both have; and where
    the other begins."""
    height, width = (min(one.shape[axis], other.shape[axis]) for axis in (1, 2))
    before, after = one[:BEFORE, :height, :width], other[: AFTER[-1] + 1, :height, :width]
    return np.concatenate([before, after]), len(before)


def compared(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many dB the state is ahead of the window, seed by seed: in each group, and behind cuts."""
    by_seed: dict[int, dict[str, Mapping[str, float]]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], {})[row["design"]] = row["db"]
    ahead: dict[str, list[float]] = {}
    for both in by_seed.values():
        state, window = both[STATE], both[WINDOW]
        for key in window:
            ahead.setdefault(key, []).append(state[key] - window[key])
        for kind in ("static", "moving"):
            keys = [key for key in window if key.startswith(f"{kind}/")]
            ahead.setdefault(kind, []).append(statistics.fmean(state[key] - window[key] for key in keys))
        for later in AFTER:
            key, gain = f"remembering/{later}", f"reset/{later}"
            ahead.setdefault(gain, []).append(state[f"after/{later}"] - state[key])
    return {
        "macs_per_pixel": {row["design"]: row["macs_per_pixel"] for row in rows},
        "state_ahead_of_window_db": {
            key: spread(values) for key, values in ahead.items() if not key.startswith("reset/")
        },
        "reset_ahead_of_remembering_db": {
            key.partition("/")[2]: spread(values) for key, values in ahead.items() if key.startswith("reset/")
        },
    }


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

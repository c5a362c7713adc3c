"""What inherited weights and a prototype's lessons are worth at equal steps, on unseen clips.

    python tests/bench/teacher.py inherit --footage DIR --steps 400 --pairs 3
    python tests/bench/teacher.py distill --footage DIR --steps 400 --seeds 2 --prototype FILE.onnx

`inherit`: a known design is trained, then a mutation of it, from random weights and from inherited ones.
`distill`: a network trained on a clip with truth and one of real raw, which is a clean clip seen through a
noisy sensor: without the raw, with its binned pictures, with what the prototype makes of it, with both, and
with the prototype's pictures mixed with the truth everywhere.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.spec import SearchSpace, Spec, kinship
from autoisp_isp.export import export_onnx
from autoisp_isp.inherit import inherited_weights
from autoisp_isp.lessons import Lessons
from autoisp_isp.network import build
from autoisp_isp.prototype import Prototype, load_prototype
from autoisp_isp.raw import Frames, unpack
from autoisp_isp.recipe import TrainBudget
from autoisp_isp.synthesis import RawClip
from autoisp_isp.taught_set import Batches, TaughtSet
from autoisp_isp.teacher import EDGE, MARGIN, Asker, Question, teach
from autoisp_isp.training import TrainResult, train
from autoisp_isp.training_set import TrainingSet
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames, ClipWriter
from autoisp_search.strategies.budgets import budget_for
from autoisp_worker.domain import ClipRange
from autoisp_worker.jobs.real_raw import RealRaw
from hand_made import FRAMES, LIMIT, SENSOR, TRAIN, UNSEEN, judge, load_clip
from record import record

_LEVELS = 64, 1023
_LESSON_FRAMES = 8
_WAYS = ("without", "binned", "taught", "binned and taught", "mixed")


def main() -> None:
    """Prints a line of JSON per training, then the whole as a record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("inherit", "distill"))
    parser.add_argument("--footage", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--prototype", type=Path, help="ONNX; the classical one if not given")
    parser.add_argument("--lesson-seconds", type=float, default=20.0)
    parser.add_argument("--ways", nargs="*", default=_WAYS, choices=_WAYS)
    options = parser.parse_args()
    unseen = [(name, load_clip(options.footage / name, FRAMES["unseen"])) for name in UNSEEN]
    rows = []
    for row in (_inheritances if options.what == "inherit" else _distillations)(options, unseen):
        rows.append(row)
        print(json.dumps(row), flush=True)
    record(f"teacher_{options.what}", {"steps": options.steps, "rows": rows, "summary": _summary(rows)})


def _inheritances(options: Any, unseen: Sequence[tuple[str, Frames]]) -> Iterator[dict[str, Any]]:
    footage = TrainingSet(
        [(name, load_clip(options.footage / name, FRAMES["train"])) for name in TRAIN], SENSOR
    )
    budget = budget_for(SearchSpace(), macs=LIMIT, seconds=None)
    anchors = budget.anchors()
    for pair in range(options.pairs):
        draw = random.Random(pair)
        donor = anchors[pair % len(anchors)]
        heir = next(
            spec
            for spec in iter(lambda donor=donor, draw=draw: budget.mutate(donor, draw), None)
            if 0.5 <= kinship(spec, donor).share < 1.0
        )
        common = {"pair": pair, "share": round(kinship(heir, donor).share, 3)}
        parent = _trained(donor, footage, options.steps, pair)
        yield common | {"way": "donor", **_judged(donor, parent, unseen)}
        first = inherited_weights(heir, donor, parent.state_dict, pair)
        for way, weights in (("random", None), ("inherited", first)):
            trained = _trained(heir, footage, options.steps, pair, init_from=weights)
            yield common | {"way": way, **_judged(heir, trained, unseen)}


def _distillations(options: Any, unseen: Sequence[tuple[str, Frames]]) -> Iterator[dict[str, Any]]:
    prototype: Prototype = load_prototype("builtin:classical")
    if options.prototype is not None:
        prototype = load_prototype(f"onnx:{options.prototype}", options.prototype.read_bytes())
    true_clip, raw_clip = (load_clip(options.footage / name, FRAMES["train"]) for name in TRAIN)
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(folder)
        clip = _recorded(store, raw_clip)
        binned = ClipFrames.open(store, clip.frames_uri).rgb(0, clip.end_frame)
        footage = TrainingSet([(TRAIN[0], true_clip), (TRAIN[1], binned)], SENSOR)
        alone = TrainingSet([(TRAIN[0], true_clip)], SENSOR)
        edge = EDGE + 2 * MARGIN
        real = RealRaw(store, [clip], SENSOR, edge=edge, frames=_LESSON_FRAMES, seed=0)

        def with_truth(number: int) -> Question:
            batch = footage.batch(number, seed=0, size=1, patch=edge, frames=_LESSON_FRAMES)
            return Question(batch.raw[0], batch.gains[0], batch.ccm[0], batch.noise[0], batch.truth[0])

        spec = budget_for(SearchSpace(), macs=LIMIT, seconds=None).anchors()[0]
        # Batches of footage, what is asked, the weight on truth.
        made: dict[str, tuple[Batches, list[Asker], float]] = {
            "without": (alone, [], 0.0),
            "binned": (footage, [], 0.0),
            "taught": (alone, [real], 0.0),
            "binned and taught": (footage, [real], 0.0),
            "mixed": (footage, [real, with_truth], 0.5),
        }
        taught = {
            way: _taught(batches, prototype, askers, weight, options.lesson_seconds) if askers else batches
            for way, (batches, askers, weight) in made.items()
            if way in options.ways
        }
        for seed in range(options.seeds):
            for way, batches in taught.items():
                yield {
                    "seed": seed,
                    "way": way,
                    **_judged(spec, _trained(spec, batches, options.steps, seed), unseen),
                }


def _taught(
    footage: Batches, prototype: Prototype, askers: list[Asker], weight: float, seconds: float
) -> Batches:
    lessons: Lessons = teach(prototype, askers, seconds)
    print(json.dumps({"lessons": len(lessons), "real": int(lessons.real.sum())}), flush=True)
    return TaughtSet(footage, lessons, weight)


def _recorded(store: ArtifactStore, frames: Frames) -> ClipRange:
    """The clip as the bench's sensor would have recorded it: its mosaic with the sensor's noise, in codes."""
    black, white = _LEVELS
    noise = SENSOR.evaluation_noises()[0]
    clip = RawClip(frames, SENSOR, "recorded", 0)
    height, width = (size // 2 * 2 for size in frames.shape[1:3])
    frame_format = FrameFormat(FrameKind.BAYER, 10, width, height, cfa="RGGB")
    uri = "clips/recorded/frames"
    with ClipWriter(store, uri, frame_format, SENSOR) as writer:
        for index in range(len(frames)):
            mosaic = unpack(clip.noisy(index, noise)).numpy()
            codes = np.rint(black + mosaic * (white - black)).clip(0, white).astype(np.uint16)
            writer.append((codes,), 0)
    return ClipRange("clips/recorded", "recorded", "", uri, 0, len(frames))


def _trained(spec: Spec, batches: Batches, steps: int, seed: int, **options: Any) -> TrainResult:
    return train(spec, batches, TrainBudget(steps=steps), seed, **options)


def _judged(spec: Spec, trained: TrainResult, unseen: Sequence[tuple[str, Frames]]) -> dict[str, Any]:
    network = build(spec)
    network.load_state_dict(trained.state_dict)
    psnr, macs = judge(export_onnx(network), unseen)
    return {
        "mean_db": round(statistics.fmean(psnr.values()), 3),
        "psnr_db": {name: round(value, 3) for name, value in psnr.items()},
        "macs_per_pixel": round(macs, 1),
        "train_seconds": round(trained.seconds, 1),
    }


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean over pairs or seeds of each way's mean PSNR."""
    ways = dict.fromkeys(row["way"] for row in rows)
    return {
        way: round(statistics.fmean(row["mean_db"] for row in rows if row["way"] == way), 3) for way in ways
    }


if __name__ == "__main__":
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    main()

"""A finished job made up of real messages, for tests of what is shown of it."""

import hashlib
import math
import struct
import zlib

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.choice import Choice
from autoisp_cli.report import Outcome
from autoisp_core.spec import RESIDUAL_PAIR, Spec

SPEC = Spec(
    block=Spec.code(
        (1, 1, 3, 0, 0),
        (2, 8, 5, 1, 0),
        (3, 3, 3, 0, 0),
        (4, 1, 1, 2, 0),
        (5, 11, 0, 4, 3),
        (6, 5, 0, 5, 1),
        (7, 6, 0, 2, 3),
        (8, 7, 0, 0, 0),
    ),
    width=16,
    repeats=2,
)


PLAIN = Spec(block=RESIDUAL_PAIR, width=16)


def png(red: int, green: int, blue: int, size: int = 96) -> bytes:
    """A PNG picture of one colour with a gradient."""
    rows = b"".join(
        b"\0" + bytes(v for x in range(size) for v in (red * x // size, green * y // size, blue))
        for y in range(size)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def make_outcome(*, opaque: bool = False, passed: bool = True) -> Outcome:
    """An outcome with 26 trials on three rungs and one unseen clip."""
    slow = common_pb2.Cost(parameters=1_071_692, size_bytes=4_321_000, seconds_per_megapixel=6.7)
    if not opaque:
        slow.macs_per_pixel = 355_440
    fast = common_pb2.Cost(
        macs_per_pixel=2881, parameters=11_532, size_bytes=52_800, seconds_per_megapixel=0.0481
    )
    trials = list(_trials())
    best = trials[-1]
    best.spec = SPEC.to_json()
    search = search_pb2.Search(
        name="searches/tune-0a1b2c3d4e5f",
        seed=3,
        strategy="predictor",
        objectives=["quality", "macs"],
        strategy_figures={"rank_correlation": 0.81, "latency_error_percent": 6.2},
        best_trial=best.name,
        pareto_trials=[trials[i].name for i in (13, 2, 19, 21, 14, 20)] + [best.name],
        rungs=[
            search_pb2.Rung(trials=18, seconds=8),
            search_pb2.Rung(trials=6, seconds=24),
            search_pb2.Rung(trials=2, seconds=70),
        ],
    )
    search.budget.reduction = 100
    if opaque:
        search.seconds_per_megapixel_limit = 0.0603
    else:
        search.macs_per_pixel_limit = 3554.4
    search.prototype_profile.quality.psnr_db = 28.4
    shift = 0.0 if passed else -2.0
    clip, pictures = _judged(slow, fast, shift)
    totals = [
        evaluation_pb2.SubjectResult(label=r.label, quality=r.quality, cost=r.cost) for r in clip.subjects
    ]
    version = registry_pb2.ModelVersion(name="models/tune-0a1b2c3d4e5f/versions/1", spec=best.spec)
    version.onnx.sha256 = "ab" * 32
    version.gate.passed = passed
    version.gate.checks.append("psnr_model 29.86 >= psnr_prototype 28.40")
    return Outcome(
        search=search,
        trials=trials,
        evaluation=evaluation_pb2.Evaluation(
            name="evaluations/tune-0a1b2c3d4e5f", clips=[clip], totals=totals
        ),
        version=version,
        dataset=ingest_pb2.Dataset(name="datasets/data-0123456789ab"),
        clips={"clips/c1": ingest_pb2.Clip(name="clips/c1", display_name="carphone", frame_count=120)},
        pictures=pictures,
        inputs={
            "raw": ("n", 3, 4, "h", "w"),
            "gains": ("n", 3),
            "noise": ("n", 2),
            "state": ("n", 16, "h", "w"),
            "state_valid": ("n", 1),
        },
        settings=[
            Choice("Sensor", "builtin:phone", option="--sensor"),
            Choice("Strategy", "predictor", "the default", "--strategy"),
            Choice("Seed", "3", option="--seed"),
        ],
        command="autoisp tune --footage clips --prototype onnx:slow.onnx --reduction 100 --out report",
        seconds=287.4,
    )


def _trials():
    for i in range(26):
        rung = 0 if i < 18 else 1 if i < 24 else 2
        trial = search_pb2.Trial(
            name=f"searches/tune-0a1b2c3d4e5f/trials/r{rung}-{i:04d}",
            rung=rung,
            state=search_pb2.TRIAL_STATE_SUCCEEDED,
            spec=(PLAIN if i < 4 else SPEC).to_json(),
            spec_hash=f"{i:032x}",
        )
        trial.end_time.FromSeconds(1_700_000_000 + 13 * i)
        trial.cost.macs_per_pixel = 300 * math.exp(((i * 7) % 13) / 13 * 2.4)
        trial.cost.seconds_per_megapixel = 0.006 + 0.04 * ((i * 5) % 11) / 11
        trial.quality.psnr_db = 26.2 + math.log(trial.cost.macs_per_pixel / 300) + 0.7 * rung + math.sin(i)
        if i in (4, 11):
            trial.state = search_pb2.TRIAL_STATE_PRUNED
            trial.cost.macs_per_pixel = 4200 + 300 * i
            trial.ClearField("quality")
        if i == 25:
            trial.cost.macs_per_pixel, trial.quality.psnr_db = 2881, 30.4
        yield trial


def _judged(slow, fast, shift):
    clip = evaluation_pb2.ClipResult(
        clip="clips/c1", display_name="carphone", state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED
    )
    for label, cost, base in (("prototype", slow, 28.4), ("model", fast, 29.86 + shift)):
        frames = [
            evaluation_pb2.FrameResult(
                frame=f,
                quality=common_pb2.Quality(psnr_db=base + 0.3 * math.sin(f / 9 + len(label)), ssim=0.9),
            )
            for f in range(0, 120, 5)
        ]
        quality = common_pb2.Quality(psnr_db=base, ssim=0.81 if label == "prototype" else 0.87)
        clip.subjects.append(
            evaluation_pb2.SubjectResult(label=label, cost=cost, quality=quality, frames=frames)
        )
    pictures = {}
    for index, kind in enumerate(("noisy", "prototype", "model", "truth")):
        data = png(60 * index, 255 - 50 * index, 90)
        digest = hashlib.sha256(data).hexdigest()
        pictures[digest] = data
        clip.pictures.append(
            evaluation_pb2.Picture(kind=kind, frame=60, png=common_pb2.Artifact(sha256=digest))
        )
    return clip, pictures

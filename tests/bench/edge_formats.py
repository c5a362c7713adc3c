"""What a found network loses in fewer bits on clips it never saw, and how fast each format is.

    python tests/bench/edge_formats.py --model report/model.onnx \\
        --train video/bikes.mp4 video/carphone_pristine.mp4 video/bottle-detection.mp4 \\
        --test video/car-detection.mp4 video/motorbike --record edge_formats

--model is what `autoisp tune` left in its report. The formats are made and judged by the worker's own job:
calibrated on the training clips, judged on the test clips, the same noise for all. Times are processor
seconds per megapixel of one thread in ONNX Runtime on this machine, the formats taking turns; what counts is
their ratio. --train and --test take files and folders of pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import commands_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.sensor import SensorProfile
from autoisp_isp.contract import check_contract
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipWriter
from autoisp_worker import wire_conversion
from autoisp_worker.compute import StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain_conversion import EdgeFormat
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.tools import Tools
from record import record

_FRAMES = 48
"""Of each clip, from its middle."""


def main() -> None:
    """Makes and judges the formats, and prints or records the figures."""
    options = _options()
    model = options.model.read_bytes()
    metadata = check_contract(model, field="model").metadata
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(folder)
        manifest = _manifest(store, options.train, options.test)
        command = commands_pb2.ConvertModelVersion(
            model_version="models/bench/versions/1",
            conversion_id="bench",
            onnx=_reference(store.put_bytes(model)),
            manifest=_reference(manifest),
            seed=1,
            frames_per_clip=options.frames,
            formats=["onnx-fp32", "onnx-fp16", "onnx-int8"],
        )
        job = replace(
            wire_conversion.conversion_job(command),
            sensor=SensorProfile.from_json(metadata["autoisp.sensor"]),
        )
        begun = time.perf_counter()
        conversion = LocalJobs(Tools.of(WorkerConfig(), store)).convert(job, StopRequest())
        seconds = time.perf_counter() - begun
    if conversion.failure is not None:
        raise SystemExit(f"{conversion.failure.reason}: {conversion.failure.message}")
    exact = conversion.formats[0]
    figures = {
        "spec": json.loads(metadata["autoisp.spec"]),
        "test_clips": [path.stem for path in options.test],
        "frames_per_clip": options.frames,
        "conversion_seconds": round(seconds, 1),
        "formats": {one.format: _figures(one, exact) for one in conversion.formats},
    }
    if options.record:
        record(options.record, figures)
    else:
        print(json.dumps(figures, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="an ONNX file that `autoisp tune` found")
    parser.add_argument("--train", type=Path, nargs="+", required=True, help="clips to calibrate on")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="unseen clips")
    parser.add_argument("--frames", type=int, default=8, help="judged frames of each unseen clip")
    parser.add_argument("--record", metavar="NAME", help="write them to tests/bench/results/NAME.json")
    return parser.parse_args()


def _figures(one: EdgeFormat, exact: EdgeFormat) -> dict[str, Any]:
    if one.failure is not None:
        return {"failure": one.failure.reason, "message": one.failure.message}
    assert one.cost is not None
    assert exact.cost is not None
    assert one.quality is not None
    return {
        "psnr_db": round(one.quality.psnr_db, 3),
        "ssim": round(one.quality.ssim, 4),
        "psnr_loss_db": round(one.psnr_loss_db or 0.0, 3),
        "shadow_loss_db": round(one.shadow_loss_db or 0.0, 3),
        "seconds_per_megapixel": round(one.cost.seconds_per_megapixel, 4),
        "seconds_against_fp32": round(one.cost.seconds_per_megapixel / exact.cost.seconds_per_megapixel, 2),
        "size_bytes": one.cost.size_bytes,
        "bytes_per_pixel": one.cost.bytes_per_pixel,
        "macs_per_pixel": one.cost.macs_per_pixel,
        "note": one.note,
        "runs_whole_on": [lint.device for lint in one.lints if lint.supported],
    }


def _manifest(store: ArtifactStore, train: Sequence[Path], test: Sequence[Path]) -> Artifact:
    entries = [
        _entry(store, path, split)
        for paths, split in ((train, ingest_pb2.SPLIT_TRAIN), (test, ingest_pb2.SPLIT_TEST))
        for path in paths
    ]
    manifest = ingest_pb2.DatasetManifest(dataset="datasets/bench", entries=entries)
    return store.put_bytes(manifest.SerializeToString())


def _entry(store: ArtifactStore, path: Path, split: ingest_pb2.Split) -> ingest_pb2.DatasetManifest.Entry:
    pixels = _decoded(path)
    name = path.stem.replace("_", "-").lower()
    height, width = pixels[0].shape[:2]
    with ClipWriter(store, f"clips/{name}", FrameFormat(FrameKind.RGB, 8, width, height)) as writer:
        for frame in pixels:
            writer.append((frame,), 0)
    clip = ingest_pb2.Clip(
        name=f"clips/{name}",
        display_name=path.stem,
        width=width,
        height=height,
        frame_count=len(pixels),
        source_sha256=hashlib.sha256(path.name.encode()).hexdigest(),
        frames_uri=f"clips/{name}",
    )
    return ingest_pb2.DatasetManifest.Entry(clip=clip, split=split, first_frame=0, end_frame=len(pixels))


def _decoded(path: Path) -> list[Any]:
    """The middle frames (H, W, 3) of a clip or of a folder of pictures."""
    if path.is_dir():
        files = sorted(path.glob("*.png"))
        return [np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]) for file in files][:_FRAMES]
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    first = max(0, (len(frames) - _FRAMES) // 2)
    return frames[first : first + _FRAMES]


def _reference(artifact: Artifact) -> common_pb2.Artifact:
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


if __name__ == "__main__":
    main()

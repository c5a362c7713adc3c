"""How near measured noise comes to the truth: ``python tests/bench/photon_transfer.py``; some minutes.

Synthetic raw footage with known noise, 12 bits: a still life with texture and shading, in half of which
things move.
"""

from __future__ import annotations

import argparse

import numpy as np
from autoisp_ingest.sensor_profiles.photon_transfer import Curve, between_frames, measure, within_frame
from autoisp_testing.raw_scenes import RawCamera, raw_footage
from record import record

LEVELS = ((0.01, 0.0005), (0.003, 5e-5), (1e-3, 1e-5), (2e-4, 2e-6))
SIZE = {"height": 512, "width": 768}


def static(camera: RawCamera, frames: int, seed: int) -> Curve | None:
    footage = list(raw_footage(camera, frames, seed=seed, **SIZE))
    pairs = zip(footage[::2], footage[1::2], strict=True)
    levels = (camera.black_level, camera.white_level)
    return measure([between_frames(first, second, *levels) for first, second in pairs], lowest(camera))


def flat(camera: RawCamera, frames: int, seed: int) -> Curve | None:
    footage = raw_footage(camera, frames, seed=seed, **SIZE)
    levels = (camera.black_level, camera.white_level)
    return measure([within_frame(frame, *levels) for frame in footage], lowest(camera))


def lowest(camera: RawCamera) -> float:
    return -camera.black_level / (camera.white_level - camera.black_level)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=24)
    seeds = range(parser.parse_args().seeds)
    rows = []
    for shot, read in LEVELS:
        camera = RawCamera(shot, read, 12, 256)
        for name, method, frames in (
            ("static, 4 frames", static, 4),
            ("static, 16 frames", static, 16),
            ("flat, 4 frames", flat, 4),
        ):
            curves = [curve for seed in seeds if (curve := method(camera, frames, seed)) is not None]
            off = np.array([[c.line.shot / shot - 1, c.line.read / camera.measured_read - 1] for c in curves])
            spans = [
                [c.line.shot_interval / shot, c.line.read_interval / camera.measured_read] for c in curves
            ]
            inside = (np.abs(off) <= np.array(spans)).mean()
            means, worst = off.mean(axis=0), np.abs(off).max(axis=0)
            row = {"shot": shot, "read": read, "from": name, "refused": len(seeds) - len(curves)}
            for index, kind in enumerate(("shot", "read")):
                row[f"{kind}_error"] = {
                    "mean": round(float(means[index]), 4),
                    "worst": round(float(worst[index]), 4),
                }
            rows.append(row | {"inside_95_percent_interval": round(float(inside), 3)})
    record("photon_transfer", {"seeds": len(seeds), "frame": SIZE, "bits": 12, "cases": rows})


if __name__ == "__main__":
    main()

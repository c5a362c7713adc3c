"""Processor time of each metric for one frame, on one thread, and relative to PSNR.

    python tests/bench/metrics.py

Noisy frames of a moving scene, with truth. Each metric alone, with all that it needs of the frame and of the
one before; then all together, which share most of that. The least of some runs, as the time of the thread:
what else the machine does takes no part in it.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import cv2
import numpy as np
from autoisp_core.quality import METRICS
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.metrics.picture import Picture
from autoisp_testing.scenes import moving_scene
from record import record

_SIZES = {"480x272": (272, 480, 20), "1080p": (1080, 1920, 6)}
"""Height, width, runs."""


def main() -> None:
    cv2.setNumThreads(1)
    figures = {}
    for size, (height, width, runs) in _SIZES.items():
        truths = [
            np.ascontiguousarray(t)
            for t in moving_scene(2, height, width).transpose(0, 3, 1, 2) / np.float32(255)
        ]
        source = np.random.default_rng(0)
        pictures = [np.clip(t + source.normal(0, 0.02, t.shape), 0, 1).astype(np.float32) for t in truths]
        names = [name for name, metric in METRICS.items() if not metric.at_end]
        times = {name: _milliseconds([name], pictures, truths, runs) for name in names}
        times["all together"] = _milliseconds(names, pictures, truths, runs)
        figures[size] = {
            name: {"milliseconds": round(taken, 3), "to_psnr": round(taken / times["psnr"], 1)}
            for name, taken in times.items()
        }
    record("metrics", {"frames": figures})


def _milliseconds(names: list[str], pictures: list[Picture], truths: list[Picture], runs: int) -> float:
    """Of a clip's second frame."""
    taken = []
    for _ in range(runs):
        with FrameMetrics(names) as metrics:
            metrics.measure(pictures[0], truths[0])
            begun = time.thread_time()
            metrics.measure(pictures[1], truths[1])
            taken.append(time.thread_time() - begun)
    return 1000 * min(taken)


if __name__ == "__main__":
    main()

"""A live stream against a bare loop, eight streams against each other, and memory over 10,000 frames.

    python tests/bench/evaluation_stream.py

The bare loop is ONNX Runtime with the same network and the same metrics in one process, one frame after the
other, of raw that lies ready in memory. The stream's frames are the sensor's codes with their truth, as a
camera would send them. Both have one thread for the network; what a second core is good for shows.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
import psutil
import torch
from autoisp_core.sensor import builtin
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.raw import normalise, pack
from autoisp_isp.runtime_session import load_session
from autoisp_testing.scenes import moving_scene
from record import record, spread

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from live_calls import SENSOR, Live, recurrent, running_live

METRICS = ["psnr", "ssim"]
SIZES = {"480x272": (272, 480), "1080p": (1080, 1920)}
_FILM = 8
"""Different frames; a camera that goes on repeats them."""


class Film:
    """Mosaics of 10 bits with their truth, and the same as a bare loop takes them."""

    def __init__(self, height: int, width: int) -> None:
        scene = moving_scene(_FILM, height, width)
        draw = np.random.default_rng(0)
        self.codes = []
        for picture in scene:
            linear = (picture / 255.0) ** 2.2 * 0.5
            mosaic = np.empty((height, width))
            for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
                mosaic[row::2, column::2] = linear[row::2, column::2, channel]
            noisy = mosaic + draw.normal(0, 0.01, mosaic.shape)
            self.codes.append(np.clip(64 + noisy * 959, 0, 1023).astype(np.uint16))
        self.truths = [(picture.astype(np.uint16) << 2) for picture in scene]
        sensor = builtin("phone")
        self.raw = [pack(torch.from_numpy(normalise(codes, 64, 1023))).numpy() for codes in self.codes]
        self.told = (
            np.array(sensor.gains, np.float32),
            np.array(sensor.ccm, np.float32),
            np.array([0.01, 0.0005], np.float32),
        )
        self.pictures = [picture.transpose(2, 0, 1).astype(np.float32) / 255 for picture in scene]


def bare(model: bytes, film: Film, frames: int) -> float:
    """Frames a second."""
    stream = load_session(model, 1).start()
    with FrameMetrics(METRICS) as metrics:
        begun = time.perf_counter()
        for raw, truth in islice(cycle(zip(film.raw, film.pictures, strict=True)), frames):
            metrics.measure(stream.run(raw[None], *film.told), truth)
        return frames / (time.perf_counter() - begun)


def streamed(
    live: Live, artifact: object, film: Film, frames: int, stop: threading.Event | None = None
) -> Iterator[int]:
    """Indices of frames as they come back."""
    with live.client() as client:
        for frame in client.evaluate_stream(
            _until(stop, islice(cycle(film.codes), frames)),
            onnx=artifact,  # type: ignore[arg-type]
            metrics=METRICS,
            pictures=False,
            sensor=SENSOR,
            truth=cycle(film.truths),
            bit_depth=10,
            cfa="RGGB",
        ):
            yield frame.index


def _until(stop: threading.Event | None, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for frame in frames:
        if stop is not None and stop.is_set():
            return
        yield frame


def rate(live: Live, artifact: object, film: Film, frames: int) -> float:
    """Frames a second of one stream, from its first answer on."""
    begun = 0.0
    for index in streamed(live, artifact, film, frames + 1):
        if index == 0:
            begun = time.perf_counter()
    return frames / (time.perf_counter() - begun)


def fairness(live: Live, artifact: object, film: Film, streams: int, seconds: float) -> list[int]:
    """Frames of each of several streams, counted for some seconds once all are under way."""
    counts, stop = [0] * streams, threading.Event()
    under_way = threading.Barrier(streams + 1)

    def run(number: int) -> None:
        for index in streamed(live, artifact, film, 1 << 30, stop):
            if index == 0:
                under_way.wait()
            counts[number] = index + 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(streams)]
    for thread in threads:
        thread.start()
    under_way.wait()
    begun = list(counts)
    time.sleep(seconds)
    counted = [after - before for before, after in zip(begun, counts, strict=True)]
    stop.set()
    for thread in threads:
        thread.join()
    return counted


def memory(live: Live, artifact: object, frames: int) -> dict[str, float]:
    """MiB of the server and its network's process: after a tenth of the frames, and after all."""
    film, early, late = Film(64, 96), 0.0, 0.0
    for index in streamed(live, artifact, film, frames):
        if index + 1 in (frames // 10, frames):
            server = psutil.Process(live.process.pid)
            late = sum(p.memory_info().rss for p in (server, *server.children())) / 2**20
            early = early or late
    return {"frames": frames, "mib_after_a_tenth": round(early, 1), "mib_at_the_end": round(late, 1)}


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--repeats", type=int, default=5)
    words.add_argument("--seconds", type=float, default=20, help="for the fairness of streams")
    words.add_argument("--frames", type=int, default=10_000, help="for memory")
    given = words.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    figures, model = {}, recurrent()
    with tempfile.TemporaryDirectory() as folder, running_live(Path(folder)) as live:
        artifact = live.put(model)
        for name, (height, width) in SIZES.items():
            film, frames = Film(height, width), max(8, int(4e7 / (height * width)))
            rate(live, artifact, film, 2)
            pairs = [
                (bare(model, film, frames), rate(live, artifact, film, frames)) for _ in range(given.repeats)
            ]
            figures[name] = {
                "bare_frames_per_second": spread([one for one, _ in pairs]),
                "stream_frames_per_second": spread([other for _, other in pairs]),
                "stream_to_bare": spread([other / one for one, other in pairs]),
            }
        counted = fairness(live, artifact, Film(*SIZES["480x272"]), 8, given.seconds)
    # Of a process of its own: what the others took it gives back bit by bit.
    with tempfile.TemporaryDirectory() as folder, running_live(Path(folder)) as live:
        flat = memory(live, live.put(model), given.frames)
    record(
        "evaluation_stream",
        {
            "metrics": METRICS,
            "one_stream": figures,
            "eight_streams": {"frames": counted, "least_to_most": round(min(counted) / max(counted), 3)},
            "memory": flat,
        },
    )


if __name__ == "__main__":
    main()

"""Seconds per megapixel: always the same picture size, one thread, the fastest of many turns.

Small pictures flatter (all fits into the cache), large ones cost seconds with a slow prototype; 480×272 is
between. What is timed is the processor time of the one thread that does it all: on an idle core that is the
wall time, and on a busy one it leaves out the time that others had the core. Neighbours can still slow a run
down, through shared caches, but never speed one up; so the fastest run tells most of the program and least of
them. A network in a process of its own is timed there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from autoisp_core.sensor import SensorProfile
from autoisp_isp.evaluation import Developer, develop
from autoisp_isp.isolated import IsolatedStream
from autoisp_isp.synthesis import RawClip

from autoisp_worker.frames import Frames
from autoisp_worker.jobs.faults import blamed

HEIGHT, WIDTH = 272, 480
_MEGAPIXELS = HEIGHT * WIDTH / 1e6
_ROUNDS = (3, 15)
# In one round a quick subject runs as often as fits into this share of the slowest one's run, within limits.
_SHARE_OF_SLOWEST, _RUNS = 0.2, (1, 5)
_GATE_ATTEMPTS = 3


def seconds_per_megapixel(
    developers: Mapping[str, Developer], frames: Sequence[Frames], sensor: SensorProfile, *, seconds: float
) -> dict[str, float]:
    """Least seconds per output megapixel of each developer, timed in turns.

    Args:
        developers: by label.
        frames: any clip's frames (H, W, 3) uint8 or uint16; the first one fills the timed picture.
        sensor: as everywhere.
        seconds: about how long to go on; at least three rounds are made.

    Raises:
        AutoISPError: one of them can't develop the picture; the message says which.
    """
    runs = {label: _timed_run(label, developer, frames, sensor) for label, developer in developers.items()}
    begun = time.perf_counter()
    first = {label: run() for label, run in runs.items()}  # warms caches; tells how often each can run
    slowest = max(first.values())
    repeats = {
        label: int(min(max(_SHARE_OF_SLOWEST * slowest / took, _RUNS[0]), _RUNS[1]))
        for label, took in first.items()
    }
    times: dict[str, list[float]] = {label: [] for label in runs}
    for turn in range(_ROUNDS[1]):
        if turn >= _ROUNDS[0] and time.perf_counter() - begun >= seconds:
            break
        for label, run in runs.items():
            times[label] += [run() for _ in range(repeats[label])]
    return {label: min(taken) / _MEGAPIXELS for label, taken in times.items()}


def within_limit(
    developer: Developer, frames: Sequence[Frames], sensor: SensorProfile, limit: float
) -> tuple[bool, float]:
    """Whether a developer's seconds per megapixel are at most ``limit``, and how many they are.

    A busy neighbour must not cost a good network its chance: one that is over the limit is timed again.
    """
    best = float("inf")
    for _ in range(_GATE_ATTEMPTS):
        measured = seconds_per_megapixel({"": developer}, frames, sensor, seconds=0.3)[""]
        best = min(best, measured)
        if best <= limit:
            return True, best
    return False, best


def _timed_run(
    label: str, developer: Developer, frames: Sequence[Frames], sensor: SensorProfile
) -> Callable[[], float]:
    frame = frames[0]
    down, right = -(-HEIGHT // frame.shape[0]), -(-WIDTH // frame.shape[1])
    tiled = np.tile(frame, (down, right, 1))[:HEIGHT, :WIDTH]
    clip = RawClip([tiled], sensor, "timing", 0)
    sample = clip.sample(0, developer.frames, sensor.evaluation_noises()[0])
    # One stream for all runs: of a recurrent developer, frames amid a stream are timed, not first ones.
    stream = developer.start()

    def run() -> float:
        begun = time.thread_time()
        with blamed(f"{label or 'the network'}, timed at {WIDTH}×{HEIGHT}"):
            develop(stream, sample)
        if isinstance(stream, IsolatedStream):
            return stream.busy_seconds
        return time.thread_time() - begun

    return run

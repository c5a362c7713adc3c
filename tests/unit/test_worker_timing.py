"""Seconds per megapixel: fair between subjects, bounded in time."""

import time

import numpy as np
import numpy.typing as npt
import pytest
from autoisp_core import sensor as sensors
from autoisp_core.errors import FailedPreconditionError
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.isolated import IsolatedNetwork
from autoisp_isp.network import build
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.runtime_session import load_session
from autoisp_worker.jobs import timing

Array = npt.NDArray[np.float32]
MEGAPIXELS = timing.HEIGHT * timing.WIDTH / 1e6
FRAMES = [np.zeros((32, 48, 3), np.uint8)]
SENSOR = sensors.builtin("phone")
_SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8, packing=4)


class Spinner:
    """Develops nothing, in a given processor time, after a given time without the processor."""

    recurrent = False

    def __init__(self, seconds: float, frames: int = 1, preempted: float = 0.0) -> None:
        self.seconds = seconds
        self.preempted = preempted
        self.frames = frames
        self.shapes: set[tuple[int, ...]] = set()
        self.calls = 0

    def start(self) -> "Spinner":
        return self

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        self.shapes.add(raw.shape)
        self.calls += 1
        time.sleep(self.preempted)
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
        return np.zeros((3, 2 * raw.shape[-2], 2 * raw.shape[-1]), np.float32)


def test_is_per_output_megapixel_and_keeps_the_ratio() -> None:
    slow, quick = Spinner(0.04), Spinner(0.004)

    measured = timing.seconds_per_megapixel({"a": slow, "b": quick}, FRAMES, SENSOR, seconds=0.1)

    assert measured["a"] == pytest.approx(0.04 / MEGAPIXELS, rel=0.25)
    assert measured["a"] / measured["b"] == pytest.approx(10, rel=0.4)


def test_time_that_others_had_the_processor_does_not_count() -> None:
    preempted = Spinner(0.01, preempted=0.04)

    measured = timing.seconds_per_megapixel({"a": preempted}, FRAMES, SENSOR, seconds=0.1)

    assert measured["a"] == pytest.approx(0.01 / MEGAPIXELS, rel=0.25)


def test_a_network_in_another_process_is_timed_there() -> None:
    model = export_onnx(build(_SPEC))
    here = OnnxPrototype(load_session(model), 0.0)
    with IsolatedNetwork(model, limit_s=60) as there:
        measured = timing.seconds_per_megapixel({"a": here, "b": there}, FRAMES, SENSOR, seconds=0.5)

    assert 0.3 < measured["a"] / measured["b"] < 3


def test_a_subject_that_can_t_be_timed_is_named() -> None:
    class Broken(Spinner):
        def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
            raise FailedPreconditionError("it broke", reason="MODEL_CRASHED")

    with pytest.raises(FailedPreconditionError, match=r"^b, timed at 480×272: it broke") as caught:
        timing.seconds_per_megapixel({"a": Spinner(0.0), "b": Broken(0.0)}, FRAMES, SENSOR, seconds=0.0)

    assert caught.value.reason == "MODEL_CRASHED"


def test_every_subject_sees_the_same_picture_with_its_own_window() -> None:
    one, three = Spinner(0.0), Spinner(0.0, frames=3)

    timing.seconds_per_megapixel({"a": one, "b": three}, FRAMES, SENSOR, seconds=0.0)

    assert one.shapes == {(1, 4, timing.HEIGHT // 2, timing.WIDTH // 2)}
    assert three.shapes == {(3, 4, timing.HEIGHT // 2, timing.WIDTH // 2)}


def test_a_slow_subject_is_not_run_often() -> None:
    slow, quick = Spinner(0.1), Spinner(0.0)

    timing.seconds_per_megapixel({"a": slow, "b": quick}, FRAMES, SENSOR, seconds=0.0)

    assert slow.calls == 4  # once to warm up, three rounds
    assert quick.calls == 16  # five times a round


def test_the_gate_lets_the_quick_pass_and_stops_the_slow() -> None:
    quick, slow = Spinner(0.001), Spinner(0.02)
    limit = 0.01 / MEGAPIXELS

    assert timing.within_limit(quick, FRAMES, SENSOR, limit)[0]
    fits, measured = timing.within_limit(slow, FRAMES, SENSOR, limit)

    assert not fits
    assert measured > limit


def test_the_gate_measures_again_before_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_ROUNDS", (3, 3))  # four runs for each attempt, the first one to warm up

    class SlowAtFirst(Spinner):
        def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
            self.seconds = 0.03 if self.calls < 4 else 0.001
            return super().run(raw, gains, ccm, noise)

    developer = SlowAtFirst(0.03)

    assert timing.within_limit(developer, FRAMES, SENSOR, 0.01 / MEGAPIXELS)[0]
    assert developer.calls == 8

"""Streams that go wrong: a clear status each, nothing left behind, and nobody else notices."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import psutil
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import AutoISPError, ErrorCode
from autoisp_testing.graphs import allocating, endless, outside, root_of, sized
from autoisp_testing.scenes import moving_scene
from ingest_calls import refused
from live_calls import (
    BAYER,
    HEIGHT,
    SENSOR,
    WIDTH,
    Live,
    Request,
    builtin,
    eventually,
    header,
    network,
    onnx,
    part,
    parts,
    running_live,
)

LIMITS: dict[str, int | float] = {
    "evaluation_streams": 3,
    "evaluation_window_frames": 2,
    "max_stream_side": 2048,
    "frame_limit_seconds": 1.5,
    "stream_window_seconds": 2,
    "model_memory_bytes": 512 << 20,
    "max_model_bytes": 8 << 20,
}
RGB_FRAME = bytes(HEIGHT * WIDTH * 3)
SHA = "0" * 64


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running_live(tmp_path_factory.mktemp("live"), **LIMITS) as running:
        running.call([header(), *parts(0, moving_scene(1, HEIGHT, WIDTH)[0])])  # imports are through
        yield running


@pytest.fixture(autouse=True)
def _nothing_stays(live: Live) -> Iterator[None]:
    yield
    assert eventually(lambda: live.children() == [])
    # All places are free again, and the next stream is as good as the first.
    answers = live.call([header(), *parts(0, moving_scene(1, HEIGHT, WIDTH)[0])])
    assert [answer.WhichOneof("payload") for answer in answers] == ["ready", "result", "summary"]


def bayer(**changes: object) -> Request:
    fields = {"kind": BAYER, "bit_depth": 10, "cfa": "RGGB", "sensor": SENSOR, "subject": builtin()}
    return header(**{**fields, **changes})


def version(name: str) -> evaluation_pb2.Subject:
    return evaluation_pb2.Subject(model_version=name)


def told(**fields: object) -> evaluation_pb2.StreamMetadata:
    return evaluation_pb2.StreamMetadata(**fields)  # type: ignore[arg-type]


MOSAIC = np.full((HEIGHT, WIDTH), 100, "<u2").tobytes()
BAD_STREAMS: dict[str, tuple[list[Request], str, str]] = {
    "nothing": ([], "header", "begins with a header"),
    "a part first": ([part(0, RGB_FRAME)], "header", "begins with a header"),
    "two headers": ([header(), header()], "header", "only parts"),
    "an empty message": ([header(), Request()], "payload", "only parts"),
    "no kind": ([header(kind=0)], "header.format.kind", "RGB or BAYER"),
    "turned": ([header(rotation=90)], "header.format.rotation", "rotation 0"),
    "7 bits": ([header(bit_depth=7)], "header.format.bit_depth", "8 to 16"),
    "no size": ([header(stored_width=0)], "header.format.stored_width", "1 or more"),
    "an odd size": ([header(stored_height=65)], "header.format.stored_height", "even"),
    "too small": ([header(stored_width=8)], "header.format.stored_width", "at least 16"),
    "too large": ([header(stored_width=4096)], "header.format.stored_width", "2048"),
    "a tile for RGB": ([header(cfa="RGGB")], "header.format.cfa", "else empty"),
    "no tile": ([bayer(cfa="")], "header.format.cfa", "RGGB"),
    "no sensor": ([bayer(sensor=None)], "header.sensor", "without a sensor"),
    "an unknown sensor": ([bayer(sensor=common_pb2.Sensor(builtin="x"))], "header.sensor", "phone"),
    "a sensor of another tile": ([bayer(cfa="BGGR")], "header.sensor", "BGGR"),
    "a sensor of more bits": ([bayer(bit_depth=8)], "header.sensor", "white level"),
    "a sensor for nobody": ([header(sensor=SENSOR)], "header.sensor", "leave the sensor out"),
    "a mosaic as it is": ([bayer(subject=None)], "header.subject", "what develops it"),
    "an empty subject": ([header(subject=evaluation_pb2.Subject())], "header.subject", "empty"),
    "an unknown builtin": (
        [header(subject=builtin("x"))],
        "header.subject.prototype.builtin",
        "builtin:classical",
    ),
    "no digest": (
        [header(subject=onnx(common_pb2.Artifact(sha256="x")))],
        "header.subject.onnx",
        "64 lowercase",
    ),
    "no version": ([header(subject=version("models/m"))], "header.subject.model_version", "models/{model}"),
    "an alias": (
        [header(subject=version("models/m/versions/champion"))],
        "header.subject.model_version",
        "by number",
    ),
    "two truths": ([header(subject=builtin(), with_truth=True)], "header.with_truth", "their own truth"),
    "an unknown metric": ([header(metrics=["beauty"])], "header.metrics", "beauty"),
    "no truth for it": ([header(metrics=["psnr"])], "header.metrics", "without a truth"),
    "too small for it": ([header(metrics=["ms_ssim"], with_truth=True)], "header.metrics", "176"),
    "nothing asked for": ([header(metrics=[])], "header.metrics", "nothing"),
    "frames not from 0": ([header(), part(1, RGB_FRAME)], "part.frame", "frame 0 is next"),
    "a frame left out": ([header(), part(0, RGB_FRAME), part(2, RGB_FRAME)], "part.frame", "frame 1 is next"),
    "a frame again": ([header(), part(0, RGB_FRAME), part(0, RGB_FRAME)], "part.frame", "frame 1 is next"),
    "a frame not finished": ([header(), part(0, b"12"), part(1, b"1")], "part.frame", "are missing"),
    "a gap": ([header(), part(0, b"12"), part(0, b"34", 3)], "part.offset", "2 is next"),
    "an overlap": ([header(), part(0, b"12"), part(0, b"34", 1)], "part.offset", "2 is next"),
    "a negative offset": ([header(), part(0, b"12", -1)], "part.offset", "0 is next"),
    "an empty part": ([header(), part(0, b"")], "part.data", "1 to 1048576"),
    "a huge part": ([header(), part(0, bytes(2 << 20))], "part.data", "1 to 1048576"),
    "a frame too long": ([header(), part(0, RGB_FRAME + b"1")], "part.data", str(len(RGB_FRAME))),
    "8K where 96x64 was declared": ([header(), part(0, bytes(1 << 20))], "part.data", "stream"),
    "a frame cut off": ([header(), part(0, b"12")], "part.data", "as a whole"),
    "a truth that was not announced": ([header(), part(0, RGB_FRAME, truth=True)], "part.truth", "is next"),
    "a truth that does not come": (
        [header(with_truth=True), part(0, RGB_FRAME), part(0, RGB_FRAME)],
        "part.truth",
        "truth of frame 0 is next",
    ),
    "a truth that is cut off": (
        [header(with_truth=True), part(0, RGB_FRAME)],
        "part.data",
        "truth of frame 0",
    ),
    "metadata of RGB": (
        [header(), part(0, RGB_FRAME, metadata=told(gains=[1, 1, 1]))],
        "part.metadata",
        "mosaic",
    ),
    "metadata late": (
        [bayer(), part(0, MOSAIC[:2]), part(0, MOSAIC[2:], 2, metadata=told(gains=[1, 1, 1]))],
        "part.metadata",
        "first part",
    ),
    "two gains": ([bayer(), part(0, MOSAIC, metadata=told(gains=[1, 2]))], "part.metadata.gains", "give 3"),
    "a gain of nothing": (
        [bayer(), part(0, MOSAIC, metadata=told(gains=[float("nan"), 1, 1]))],
        "part.metadata.gains.red",
        "factor in",
    ),
    "a matrix that tints": (
        [bayer(), part(0, MOSAIC, metadata=told(ccm=[2, 0, 0, 0, 1, 0, 0, 0, 1]))],
        "part.metadata.ccm[0]",
        "sums to",
    ),
    "a value over its bits": (
        [bayer(), part(0, np.full((HEIGHT, WIDTH), 1024, "<u2").tobytes())],
        "part.data",
        "low bits",
    ),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
def test_bad_streams(live: Live, case: str) -> None:
    messages, field, says = BAD_STREAMS[case]
    error = refused(live.call, messages)
    assert (error.code, error.metadata.get("field")) == (ErrorCode.INVALID_ARGUMENT, field), str(error)
    assert says in str(error)


FAULTY: dict[str, tuple[Callable[[], bytes], ErrorCode, str]] = {
    "NaN": (lambda: root_of(float("nan")), ErrorCode.FAILED_PRECONDITION, "OUTPUT_NOT_FINITE"),
    "a hang": (endless, ErrorCode.FAILED_PRECONDITION, "MODEL_TIMED_OUT"),
    "greed": (lambda: allocating(4 << 30), ErrorCode.FAILED_PRECONDITION, "MODEL_OUT_OF_MEMORY"),
    "another size": (lambda: sized(4), ErrorCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
    "footage": (lambda: bytes((8 << 20) + 1), ErrorCode.INVALID_ARGUMENT, "MODEL_TOO_LARGE"),
    "weights elsewhere": (
        lambda: outside("artifacts", "graph"),
        ErrorCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
    ),
    "no ONNX": (lambda: b"nonsense", ErrorCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_networks_that_fail(live: Live, case: str) -> None:
    model, code, reason = FAULTY[case]
    messages = [header(subject=onnx(live.put(model()))), *parts(0, moving_scene(1, HEIGHT, WIDTH)[0])]
    error = refused(live.call, messages)
    assert (error.code, error.reason) == (code, reason), str(error)


def test_networks_that_are_not_there(live: Live) -> None:
    missing = common_pb2.Artifact(uri="../../etc/passwd", sha256=SHA, size_bytes=3)
    assert refused(live.call, [header(subject=onnx(missing))]).code is ErrorCode.NOT_FOUND
    assert refused(live.call, [header(subject=version("models/m/versions/1"))]).code is ErrorCode.NOT_FOUND


class Stream:
    """A stream that is driven step by step; sends what it is given, until ``done``."""

    def __init__(self, live: Live, *messages: Request) -> None:
        self.messages = list(messages)
        self.sent = 0
        self.done = threading.Event()
        self.call = live.stub.EvaluateStream(self._send())

    def _send(self) -> Iterator[Request]:
        while not self.done.is_set():
            if self.sent < len(self.messages):
                message = self.messages[self.sent]
                self.sent += 1
                yield message
            else:
                self.done.wait(0.02)

    def error(self) -> AutoISPError:
        with pytest.raises(grpc.RpcError) as caught:
            list(self.call)
        self.done.set()
        return from_rpc_error(caught.value)

    def close(self) -> None:
        self.done.set()
        self.call.cancel()


def with_network(live: Live, **changes: object) -> Request:
    return header(subject=onnx(live.put(network())), **changes)


def test_a_network_that_is_killed(live: Live) -> None:
    scene = moving_scene(2, HEIGHT, WIDTH)
    stream = Stream(live, with_network(live), *parts(0, scene[0]))
    other = Stream(live, with_network(live), *parts(0, scene[0]))
    for one in (stream, other):
        assert [next(one.call).WhichOneof("payload") for _ in range(2)] == ["ready", "result"]
    assert len(live.children()) == 2
    victim = live.children()[0].pid
    os.kill(victim, signal.SIGKILL)
    answers = []
    for one in (stream, other):
        one.messages.extend(parts(1, scene[1]))
        try:
            answers.append(next(one.call).WhichOneof("payload"))
        except grpc.RpcError as error:
            answers.append(from_rpc_error(error).reason)
        one.close()
    # The other stream goes on.
    assert sorted(answers) == ["MODEL_CRASHED", "result"]


def test_a_client_that_vanishes_in_mid_frame(live: Live) -> None:
    stream = Stream(live, with_network(live), part(0, RGB_FRAME[:1000]))
    assert next(stream.call).ready.window_frames == 2
    assert live.children()
    stream.close()


def test_a_client_that_vanishes_while_a_network_hangs(live: Live) -> None:
    frame = moving_scene(1, HEIGHT, WIDTH)[0]
    stream = Stream(live, header(subject=onnx(live.put(endless()))), *parts(0, frame))
    assert next(stream.call).ready.window_frames == 2
    time.sleep(0.3)
    stream.close()
    assert eventually(lambda: live.children() == [], 1.0), "no need to wait for the frame's time limit"


def test_a_prototype_that_takes_too_long(live: Live) -> None:
    frame = np.zeros((2048, 2048, 3), np.uint8)
    error = refused(
        live.call, [header(subject=builtin(), stored_width=2048, stored_height=2048), *parts(0, frame)]
    )
    assert (error.code, error.reason) == (ErrorCode.FAILED_PRECONDITION, "MODEL_TIMED_OUT")


@pytest.mark.parametrize("messages", [0, 1, 2])
def test_a_client_that_falls_silent(live: Live, messages: int) -> None:
    error = Stream(live, *[header(), part(0, RGB_FRAME[:5000])][:messages]).error()
    assert (error.code, error.reason) == (ErrorCode.DEADLINE_EXCEEDED, "SENDER_TOO_SLOW")


def test_waiting_for_an_answer_is_no_silence(live: Live) -> None:
    """One frame, and then nothing for as long as the network takes."""
    frame = moving_scene(1, HEIGHT, WIDTH)[0]
    error = Stream(live, header(subject=onnx(live.put(endless()))), *parts(0, frame)).error()
    assert error.reason == "MODEL_TIMED_OUT"


def test_a_client_that_sends_and_does_not_read(live: Live) -> None:
    frame = np.random.default_rng(0).integers(0, 255, (1024, 1024, 3), np.uint8)
    messages = [header(stored_width=1024, stored_height=1024, metrics=["blur"], return_pictures=True)]
    messages += [message for index in range(100) for message in parts(index, frame)]  # 315 MB
    # What measuring these frames takes is taken, and kept: by each of the threads, whichever comes to do it.
    for _ in range(10):
        live.call(messages[:13])
    server = psutil.Process(live.process.pid)
    before = server.memory_info().rss
    stream = Stream(live, *messages)
    try:
        assert next(stream.call).ready.window_frames == 2
        # Far more is on offer, and nobody takes it; the place is free long before the client reads.
        assert eventually(lambda: holds(live, 3))
        assert stream.sent < 60
        grown = server.memory_info().rss - before
        assert grown < 64 << 20, f"the server grew by {grown >> 20} MiB"
        error = stream.error()
        assert (error.code, error.reason) == (ErrorCode.DEADLINE_EXCEEDED, "RECEIVER_TOO_SLOW")
    finally:
        stream.close()


def holds(live: Live, count: int) -> bool:
    """Whether so many more streams can be held at a time."""
    streams = [Stream(live, header()) for _ in range(count)]
    try:
        return all(next(stream.call).ready.window_frames for stream in streams)
    except grpc.RpcError:
        return False
    finally:
        for stream in streams:
            stream.close()


def test_more_streams_than_are_taken(live: Live) -> None:
    streams = [Stream(live, header()) for _ in range(3)]
    try:
        for stream in streams:
            assert next(stream.call).ready.window_frames == 2
        error = refused(live.call, [header()])
        assert (error.code, error.reason) == (ErrorCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    finally:
        for stream in streams:
            stream.close()


def test_a_stop_ends_streams_with_a_word(tmp_path: Path) -> None:
    with running_live(tmp_path, stop_grace_seconds=2) as live:
        stream = Stream(live, with_network(live), *parts(0, moving_scene(1, HEIGHT, WIDTH)[0]))
        assert next(stream.call).ready.window_frames > 0
        (child,) = live.children()
        os.kill(live.process.pid, signal.SIGTERM)
        error = stream.error()
        assert (error.code, error.reason) == (ErrorCode.UNAVAILABLE, "STOPPING")
        assert live.process.wait() == 0
        assert eventually(lambda: not child.is_running())


def test_killed_with_its_networks(tmp_path: Path) -> None:
    with running_live(tmp_path) as live:
        stream = Stream(live, with_network(live))
        assert next(stream.call).ready.window_frames > 0
        (child,) = live.children()
        live.process.kill()
        assert stream.error().code is ErrorCode.UNAVAILABLE
        assert eventually(lambda: not child.is_running())

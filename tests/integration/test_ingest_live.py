"""Frames of a live camera: stored while they come, no faster than can be, and never by halves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import AsyncClient, Client, Endpoints
from autoisp_core.errors import ErrorCode, InvalidArgumentError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_testing.scenes import moving_scene
from ingest_calls import Ingest, ingested_events, refused, running_ingest

PHONE = common_pb2.Sensor(builtin="phone")
Request = ingest_pb2.IngestFramesRequest


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    limits = {"max_frame_side": 512, "max_clip_frames": 20, "max_decoded_bytes": 1 << 20, "live_streams": 2}
    with running_ingest(tmp_path_factory.mktemp("ingest"), **limits) as running:
        yield running


@pytest.fixture(scope="module")
def client(ingest: Ingest) -> Iterator[Client]:
    with ingest.client() as opened:
        yield opened


def frames_of(ingest: Ingest, clip: ingest_pb2.Clip) -> ClipFrames:
    return ClipFrames.open(ArtifactStore(ingest.artifacts.as_uri()), clip.frames_uri)


def mosaics(count: int = 4, bits: int = 10) -> list[np.ndarray]:
    source = np.random.default_rng(bits)
    return list(source.integers(0, 1 << bits, (count, 64, 96), np.uint16))


def test_rgb_frames_become_a_clip(ingest: Ingest, client: Client) -> None:
    scene = moving_scene(12, 64, 96, seed=1)
    clip = client.ingest_frames(scene, frame_rate=25, display_name="Street")
    assert (clip.width, clip.height, clip.frame_count, clip.frame_rate) == (96, 64, 12, 25)
    assert (clip.codec, clip.display_name, clip.variable_frame_rate) == ("live", "Street", False)
    assert clip.duration_seconds == pytest.approx(12 / 25)
    assert clip.source_size_bytes == scene.nbytes
    frames = frames_of(ingest, clip)
    np.testing.assert_array_equal(frames.stored(0, 12)["frames"], scene)
    assert list(frames.times_ns()) == [index * 40_000_000 for index in range(12)]
    assert [event.clip for event in ingested_events(ingest, clip.name)] == [clip]


def test_the_same_frames_are_one_clip(ingest: Ingest, client: Client) -> None:
    scene = moving_scene(4, seed=2)
    first = client.ingest_frames(scene, frame_rate=25)
    files = ingest.files()
    assert client.ingest_frames(iter(scene), frame_rate=25, display_name="again") == first
    assert ingest.files() == files
    assert client.ingest_frames(scene, frame_rate=30).name != first.name


def test_a_mosaic_keeps_its_depth_and_its_sensor(ingest: Ingest, client: Client) -> None:
    sent = mosaics()
    times = [0, 33_000_000, 70_000_000, 99_000_000]
    clip = client.ingest_frames(sent, frame_rate=0, times_ns=times, bit_depth=10, cfa="RGGB", sensor=PHONE)
    assert (clip.format.bit_depth, clip.format.cfa, clip.variable_frame_rate) == (10, "RGGB", True)
    frames = frames_of(ingest, clip)
    assert frames.sensor
    assert frames.sensor.name == "phone"
    np.testing.assert_array_equal(frames.stored(0, 4)["frames"], sent)
    assert list(frames.times_ns()) == times


async def test_asyncio_sends_what_an_async_camera_gives(ingest: Ingest) -> None:
    scene = moving_scene(5, seed=3)
    heard: list[int] = []

    async def camera() -> AsyncIterator[np.ndarray]:
        for frame in scene:
            await asyncio.sleep(0)
            yield frame[:, ::-1]  # not contiguous, as cameras' buffers are

    async with AsyncClient(Endpoints(*[ingest.process.address] * 4)) as client:
        clip = await client.ingest_frames(camera(), frame_rate=25, on_stored=heard.append)
    assert heard[0] == 0
    np.testing.assert_array_equal(frames_of(ingest, clip).stored(0, 5)["frames"], scene[:, :, ::-1])


@pytest.fixture
def nothing_stays(ingest: Ingest) -> Iterator[None]:
    before = ingest.clip_names(), ingest.files()
    yield
    assert (ingest.clip_names(), ingest.files()) == before


class CameraError(Exception):
    pass


@pytest.mark.usefixtures("nothing_stays")
def test_a_camera_that_fails_leaves_nothing(client: Client) -> None:
    def camera() -> Iterator[np.ndarray]:
        yield from moving_scene(3, seed=4)
        raise CameraError

    with pytest.raises(CameraError):
        client.ingest_frames(camera(), frame_rate=25)


@pytest.mark.usefixtures("nothing_stays")
async def test_a_camera_that_fails_leaves_nothing_in_asyncio(ingest: Ingest) -> None:
    def camera() -> Iterator[np.ndarray]:
        yield from moving_scene(3, seed=4)
        raise CameraError

    async with AsyncClient(Endpoints(*[ingest.process.address] * 4)) as client:
        with pytest.raises(CameraError):
            await client.ingest_frames(camera(), frame_rate=25)
    await asyncio.sleep(0.5)


@pytest.mark.usefixtures("nothing_stays")
def test_frames_that_are_no_frames(client: Client) -> None:
    for frames, options in (
        ([np.zeros((64, 64, 4), np.uint8)], {}),
        ([np.zeros((64, 64), np.float32)], {}),
        ([np.zeros((64, 64, 3), np.uint8), np.zeros((64, 66, 3), np.uint8)], {}),
        (moving_scene(3), {"times_ns": [0, 1]}),
    ):
        with pytest.raises(InvalidArgumentError):
            client.ingest_frames(frames, frame_rate=25, **options)


HEIGHT, WIDTH = 64, 96
FRAME = HEIGHT * WIDTH * 3


def header(**changes: object) -> Request:
    fields: dict[str, object] = {
        "kind": ingest_pb2.FrameFormat.KIND_RGB,
        "bit_depth": 8,
        "stored_width": WIDTH,
        "stored_height": HEIGHT,
    }
    others = {key: changes.pop(key) for key in ("frame_rate", "sensor", "display_name") if key in changes}
    frame_format = ingest_pb2.FrameFormat(**{**fields, **changes})  # type: ignore[arg-type]
    return Request(header=ingest_pb2.IngestFramesHeader(format=frame_format, **others))  # type: ignore[arg-type]


def bayer(**changes: object) -> Request:
    kind = ingest_pb2.FrameFormat.KIND_BAYER
    return header(**{"kind": kind, "bit_depth": 10, "cfa": "RGGB", "sensor": PHONE, **changes})


def part(frame: int, data: bytes = bytes(FRAME), offset: int = 0, time_ns: int | None = None) -> Request:
    time_ns = frame * 1000 if time_ns is None else time_ns
    return Request(part=ingest_pb2.FramePart(frame=frame, time_ns=time_ns, offset=offset, data=data))


BAD_STREAMS: dict[str, tuple[list[Request], str, str]] = {
    "nothing": ([], "header", "begin with a header"),
    "a part first": ([part(0)], "header", "begin with a header"),
    "two headers": ([header(), header()], "header", "only parts"),
    "an empty message": ([header(), Request()], "payload", "only parts"),
    "no kind": ([header(kind=0)], "header.format.kind", "RGB"),
    "YUV": (
        [header(kind=ingest_pb2.FrameFormat.KIND_YUV, h_step=2, v_step=2, matrix="bt709")],
        "header.format.kind",
        "RGB or BAYER",
    ),
    "turned": ([header(rotation=90)], "header.format.rotation", "rotation 0"),
    "no such rotation": ([header(rotation=45)], "header.format.rotation", "270"),
    "7 bits": ([header(bit_depth=7)], "header.format.bit_depth", "8 to 16"),
    "no size": ([header(stored_width=0)], "header.format.stored_width", "1 or more"),
    "a negative size": ([header(stored_height=-4)], "header.format.stored_height", "1 or more"),
    "too small": ([header(stored_width=32)], "header.format", "at least 64x64"),
    "too large": ([header(stored_width=100_000)], "header.format", "at most 512"),
    "no tile": ([bayer(cfa="")], "header.format.cfa", "RGGB"),
    "a tile for RGB": ([header(cfa="RGGB")], "header.format.cfa", "else empty"),
    "no sensor": ([bayer(sensor=None)], "header.sensor", "without a sensor"),
    "a sensor for RGB": ([header(sensor=PHONE)], "header.sensor", "leave it out"),
    "an unknown sensor": ([bayer(sensor=common_pb2.Sensor(builtin="x"))], "header.sensor", "phone"),
    "a sensor of another tile": ([bayer(cfa="BGGR")], "header.sensor", "BGGR"),
    "a sensor of more bits": ([bayer(bit_depth=8)], "header.sensor", "white level"),
    "a rate that is none": ([header(frame_rate=float("nan"))], "header.frame_rate", "0 if unknown"),
    "a title with tricks": ([header(display_name="a\u202egpm")], "header.display_name", "printable"),
    "frames not from 0": ([header(), part(1)], "part.frame", "frame 0 is next"),
    "a frame left out": ([header(), part(0), part(2)], "part.frame", "frame 1 is next"),
    "a frame again": ([header(), part(0), part(0)], "part.frame", "frame 1 is next"),
    "a frame not finished": ([header(), part(0, b"12"), part(1)], "part.frame", "are missing"),
    "a part left out": ([header(), part(0, b"12"), part(0, b"34", offset=3)], "part.offset", "2 is next"),
    "a part not from 0": ([header(), part(0, b"12", offset=5)], "part.offset", "0 is next"),
    "a negative offset": ([header(), part(0, b"12", offset=-1)], "part.offset", "0 is next"),
    "an empty part": ([header(), part(0, b"")], "part.data", "1 to 1048576"),
    "a huge part": ([header(), part(0, bytes(2 << 20))], "part.data", "1 to 1048576"),
    "a frame too long": ([header(), part(0, bytes(FRAME + 1))], "part.data", str(FRAME)),
    "a frame cut off": ([header(), part(0), part(1, b"12")], "part.data", "as a whole"),
    "time not from 0": ([header(), part(0, time_ns=7)], "part.time_ns", "first frame"),
    "time that stands": ([header(), part(0), part(1, time_ns=0)], "part.time_ns", "the one before"),
    "time that goes back": (
        [header(), part(0), part(1, time_ns=9), part(2, time_ns=8)],
        "part.time_ns",
        "the one before",
    ),
    "a value over its bits": (
        [bayer(), part(0, np.full((HEIGHT, WIDTH), 1024, "<u2").tobytes())],
        "part.data",
        "low bits",
    ),
    "no frame": ([header()], "part.frame", "at least 2 frames"),
    "one frame": ([header(), part(0)], "part.frame", "at least 2 frames"),
    "too many frames": ([header(), *(part(index) for index in range(21))], "part.frame", "20 frames"),
    "too many bytes": (
        [header(stored_width=512, stored_height=512), part(0, bytes(512 * 512 * 3)), part(1, b"1")],
        "part.frame",
        "1 frames",
    ),
}


@pytest.mark.usefixtures("nothing_stays")
@pytest.mark.parametrize("case", BAD_STREAMS)
def test_bad_streams(ingest: Ingest, case: str) -> None:
    messages, field, says = BAD_STREAMS[case]
    error = refused(consume(ingest), messages)
    assert (error.code, error.metadata.get("field")) == (ErrorCode.INVALID_ARGUMENT, field), str(error)
    assert says in str(error)


def consume(ingest: Ingest) -> Callable[[list[Request]], list[ingest_pb2.IngestFramesResponse]]:
    return lambda messages: list(ingest.stub.IngestFrames(iter(messages), timeout=30))


@pytest.mark.usefixtures("nothing_stays")
def test_a_camera_that_leaves(ingest: Ingest) -> None:
    class Camera:
        def __iter__(self) -> Iterator[Request]:
            yield header()
            yield from (part(index) for index in range(5))
            threading.Event().wait(10)

    call = ingest.stub.IngestFrames(iter(Camera()))
    assert next(call).acknowledgement.window_bytes > 0
    call.cancel()
    with pytest.raises(grpc.RpcError):
        list(call)
    time.sleep(0.5)


def test_more_cameras_than_are_taken(ingest: Ingest, client: Client) -> None:
    done = threading.Event()

    def waits() -> Iterator[Request]:
        yield header()
        done.wait(30)

    calls = [ingest.stub.IngestFrames(waits()) for _ in range(2)]
    try:
        for call in calls:
            assert next(call).acknowledgement.stored_frames == 0
        error = refused(consume(ingest), [header()])
        assert (error.code, error.reason) == (ErrorCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    finally:
        for call in calls:
            call.cancel()
        done.set()


def test_killed_while_frames_come(tmp_path: Path) -> None:
    killed = threading.Event()
    with running_ingest(tmp_path) as ingest:

        def camera() -> Iterator[np.ndarray]:
            scene = moving_scene(24, 720, 1280, seed=6)
            for index in range(120):
                if index == 80:
                    assert ingest.stored()
                    ingest.process.kill()
                    killed.set()
                yield scene[index % 24]

        with ingest.client(patience=0) as client, pytest.raises(Exception, match=r"no answer|ended|closed"):
            client.ingest_frames(camera(), frame_rate=25)
        assert killed.wait(10)
        assert ingest.files()
        ingest.process.start()
        assert ingest.files() == []

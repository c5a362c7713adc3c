"""Streams that are evaluated while they come: the same pictures and values as by hand, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import grpc
import numpy as np
import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_client import AsyncClient, Client, Endpoints, EvaluatedFrame
from autoisp_core.errors import InvalidArgumentError, NotFoundError, UnavailableError
from autoisp_core.sensor import Noise, builtin
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.raw import normalise, pack
from autoisp_isp.runtime_session import load_session
from autoisp_isp.synthesis import RawClip
from autoisp_testing.scenes import moving_scene, write_video
from grpc_health.v1 import health_pb2, health_pb2_grpc
from live_calls import HEIGHT, SENSOR, WIDTH, Live, eventually, mosaic, network, recurrent, running_live
from torch import from_numpy

METRICS = ["psnr", "ssim", "flicker", "noise_estimate"]
NOISE = Noise(0.01, 0.0005)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running_live(tmp_path_factory.mktemp("live")) as running:
        yield running


@pytest.fixture
def client(live: Live) -> Iterator[Client]:
    with live.client() as opened:
        yield opened


def eight_bits(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture.transpose(1, 2, 0) * 255).astype(np.uint8)


def assert_same(frame: EvaluatedFrame, picture: np.ndarray, metrics: dict[str, float]) -> None:
    np.testing.assert_array_equal(frame.picture, eight_bits(picture))
    assert frame.metrics == pytest.approx(metrics, abs=1e-9)


def test_rgb_is_filmed_and_developed_as_by_hand(live: Live, client: Client) -> None:
    model, scene = network(), moving_scene(7, HEIGHT, WIDTH, seed=1)
    frames = list(client.evaluate_stream(scene, onnx=live.put(model), metrics=METRICS, sensor=SENSOR, seed=5))
    film, stream = RawClip(scene, builtin("phone"), "", 5), load_session(model).start()
    assert [frame.index for frame in frames] == list(range(7))
    with FrameMetrics(METRICS) as measured:
        for frame in frames:
            sample = film.sample(frame.index, 3, NOISE)
            arrays = (sample.raw.numpy(), sample.gains.numpy(), sample.ccm.numpy(), sample.noise.numpy())
            picture = stream.run(*arrays)
            assert_same(frame, picture, measured.measure(picture, sample.truth.numpy()))
            assert 0 < frame.develop_seconds <= frame.latency_seconds
    assert live.children() == []


@pytest.mark.parametrize(("cfa", "x", "y"), [("RGGB", 0, 0), ("GBRG", 0, 1)])
def test_a_mosaic_is_developed_with_what_the_camera_tells(
    live: Live, client: Client, cfa: str, x: int, y: int
) -> None:
    model, codes = recurrent(), mosaic(5, seed=2)
    truth = [picture.astype(np.uint16) * 4 for picture in moving_scene(5, HEIGHT, WIDTH, seed=2)]
    sensor = builtin("phone")
    told = evaluation_pb2.StreamMetadata(gains=[1.5, 1.0, 2.5])
    told.noise.shot = 0.02
    profile = SENSOR.__class__(toml=sensor.to_toml().replace('"RGGB"', f'"{cfa}"'))
    profile.test_noise.CopyFrom(SENSOR.test_noise)
    frames = client.evaluate_stream(
        codes,
        onnx=live.put(model),
        metrics=METRICS,
        sensor=profile,
        truth=truth,
        metadata=[None, None, told, None, None],
        bit_depth=10,
        cfa=cfa,
    )
    stream, ccm = load_session(model).start(), np.array(sensor.ccm, np.float32)
    with FrameMetrics(METRICS) as measured:
        for index, frame in enumerate(frames):
            raw = pack(from_numpy(normalise(codes[index], 64, 1023)), cfa).numpy()
            gains = (1.5, 1.0, 2.5) if index >= 2 else sensor.gains
            noise = (0.02, 0.0) if index >= 2 else (0.01, 0.0005)
            arrays = np.array(gains, np.float32), ccm, np.array(noise, np.float32)
            picture = stream.run(raw[None], *arrays)
            height, width = picture.shape[1:]
            true = np.rint(truth[index] * (65535 / 1023)).transpose(2, 0, 1).astype(np.float32) / 65535
            expected = measured.measure(picture, true[:, y : y + height, x : x + width])
            np.testing.assert_array_equal(frame.picture, eight_bits(picture))
            assert frame.metrics == pytest.approx(expected, rel=1e-6)
    assert index == 4


def test_a_prototype_develops_and_pictures_may_be_left_out(client: Client) -> None:
    summaries: list[evaluation_pb2.StreamSummary] = []
    frames = list(
        client.evaluate_stream(
            moving_scene(5, HEIGHT, WIDTH),
            builtin="classical",
            metrics=["psnr"],
            pictures=False,
            sensor=SENSOR,
            on_summary=summaries.append,
        )
    )
    assert all(frame.picture is None and frame.metrics["psnr"] > 20 for frame in frames)
    (summary,) = summaries
    assert summary.frames == 5
    assert summary.metrics["psnr"] == pytest.approx(np.mean([frame.metrics["psnr"] for frame in frames]))
    latencies = sorted(frame.latency_seconds for frame in frames)
    assert summary.latency_p50_seconds == pytest.approx(latencies[2], rel=0.01)
    assert summary.latency_p99_seconds == pytest.approx(latencies[4], rel=0.01)


def test_frames_are_judged_as_they_are(client: Client) -> None:
    scene = moving_scene(3, HEIGHT, WIDTH)
    off_by_one = [np.where(picture < 255, picture + 1, 254).astype(np.uint8) for picture in scene]
    frames = list(client.evaluate_stream(off_by_one, truth=scene, metrics=["psnr"]))
    for frame, sent in zip(frames, off_by_one, strict=True):
        assert frame.metrics["psnr"] == pytest.approx(20 * np.log10(255), abs=1e-3)
        np.testing.assert_array_equal(frame.picture, sent)
    blind = list(client.evaluate_stream(scene, metrics=["psnr", "noise_estimate"], pictures=False))
    assert [frame.metrics.keys() for frame in blind] == [{"noise_estimate"}] * 3


def test_a_version_of_a_model_develops(live: Live, client: Client) -> None:
    name = "models/mine/versions/3"
    version = registry_pb2.ModelVersion(name=name, onnx=live.put(network()))
    live.store.put_result(name, version.SerializeToString())
    scene = moving_scene(2, HEIGHT, WIDTH)
    assert len(list(client.evaluate_stream(scene, model_version=name))) == 2
    with pytest.raises(NotFoundError, match="not in the artifact store"):
        list(client.evaluate_stream(scene, model_version="models/mine/versions/4"))
    with pytest.raises(InvalidArgumentError, match="by number"):
        list(client.evaluate_stream(scene, model_version="models/mine/versions/champion"))
    with pytest.raises(InvalidArgumentError, match="one of"):
        client.evaluate_stream(scene, model_version=name, builtin="classical")


def test_a_video_is_read_here(live: Live, client: Client, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", moving_scene(4, 65, 97))
    frames = list(client.evaluate_stream(path, metrics=["blur"]))
    assert [frame.picture.shape for frame in frames if frame.picture is not None] == [(64, 96, 3)] * 4
    for nothing, says in ((tmp_path / "none.mp4", "as a video"), (99, "webcam 99")):
        with pytest.raises(InvalidArgumentError, match=says):
            list(client.evaluate_stream(nothing, metrics=["blur"]))


def test_leaving_the_loop_ends_the_stream(live: Live, client: Client) -> None:
    def camera() -> Iterator[np.ndarray]:
        while True:
            yield from moving_scene(8, HEIGHT, WIDTH)

    for frame in client.evaluate_stream(camera(), onnx=live.put(network())):
        if frame.index == 3:
            assert live.children()
            break
    assert eventually(lambda: live.children() == [])


class CameraError(Exception):
    pass


def test_what_the_camera_raises_comes_out(live: Live, client: Client) -> None:
    def camera() -> Iterator[np.ndarray]:
        yield from moving_scene(2, HEIGHT, WIDTH)
        raise CameraError

    with pytest.raises(CameraError):
        list(client.evaluate_stream(camera(), onnx=live.put(network())))
    for frames, options in (
        ([np.zeros((64, 64, 4), np.uint8)], {}),
        ([np.zeros((64, 64, 3), np.uint8), np.zeros((64, 66, 3), np.uint8)], {}),
        (moving_scene(3), {"truth": moving_scene(2)}),
        (moving_scene(2), {"truth": moving_scene(2, 32, 32)}),
    ):
        with pytest.raises(InvalidArgumentError):
            list(client.evaluate_stream(frames, metrics=["psnr", "blur"], **options))  # type: ignore[arg-type]
    assert eventually(lambda: live.children() == [])


async def test_asyncio_does_the_same(live: Live, tmp_path: Path) -> None:
    scene = moving_scene(6, HEIGHT, WIDTH, seed=3)
    path = write_video(tmp_path / "clip.mkv", scene)

    async def camera() -> AsyncIterator[np.ndarray]:
        for frame in scene:
            await asyncio.sleep(0)
            yield frame

    async def failing() -> AsyncIterator[np.ndarray]:
        yield scene[0]
        raise CameraError

    artifact = live.put(network())
    async with AsyncClient(Endpoints(*["127.0.0.1:1"] * 4, live=live.process.address), patience=0) as client:
        frames = [frame async for frame in client.evaluate_stream(camera(), onnx=artifact, metrics=["psnr"])]
        assert [frame.index for frame in frames] == list(range(6))
        assert len([frame async for frame in client.evaluate_stream(path, metrics=["blur"])]) == 6
        with pytest.raises(CameraError):
            [frame async for frame in client.evaluate_stream(failing(), onnx=artifact)]
        with pytest.raises(NotFoundError):
            [frame async for frame in client.evaluate_stream(camera(), model_version="models/m/versions/1")]
        async with aclosing(client.evaluate_stream(camera(), onnx=artifact)) as stream:  # type: ignore[type-var]
            async for frame in stream:
                assert frame.index == 0
                break
    with live.client() as blocking:
        expected = list(blocking.evaluate_stream(scene, onnx=artifact, metrics=["psnr"]))
    for one, other in zip(frames, expected, strict=True):
        assert one.metrics == other.metrics
        np.testing.assert_array_equal(one.picture, other.picture)
    assert eventually(lambda: live.children() == [])


@pytest.mark.parametrize("waits", [False, True])
async def test_the_camera_is_let_go_when_the_server_ends_the_call(live: Live, waits: bool) -> None:
    """Whether it waits for a place in the window, or for its own next frame."""
    closed = asyncio.Event()

    async def camera() -> AsyncIterator[np.ndarray]:
        try:
            for frame in moving_scene(9, HEIGHT, WIDTH):
                yield frame
                if waits:
                    await asyncio.Event().wait()
        finally:
            closed.set()

    before = asyncio.all_tasks()
    async with AsyncClient(Endpoints(*["127.0.0.1:1"] * 4, live=live.process.address), patience=0) as client:
        with pytest.raises(NotFoundError):
            [frame async for frame in client.evaluate_stream(camera(), model_version="models/m/versions/1")]
        async with asyncio.timeout(10):
            await closed.wait()
    assert asyncio.all_tasks() == before, "nothing goes on"


def test_nobody_there() -> None:
    with (
        Client("127.0.0.1:9", patience=0) as client,
        pytest.raises(UnavailableError, match="live evaluation"),
    ):
        list(client.evaluate_stream(moving_scene(2), metrics=["blur"]))


def test_health_is_told_by_name(live: Live) -> None:
    with grpc.insecure_channel(live.process.address) as channel:
        service = "autoisp.evaluation.v1.LiveEvaluationService"
        request = health_pb2.HealthCheckRequest(service=service)
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

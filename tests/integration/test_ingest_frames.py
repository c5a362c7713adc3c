"""What the decoder gives is what is stored and read again, through the real service."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import AsyncClient, Client, Endpoints
from autoisp_core.errors import InvalidArgumentError, NotFoundError, OutOfRangeError
from autoisp_core.frames import Box
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_testing.scenes import moving_scene
from ingest_calls import Ingest, running_ingest, tar_of, upload

WIDTH, HEIGHT, COUNT = 130, 98, 19
Planes = list[np.ndarray]


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest"), max_frame_side=2048) as running:
        yield running


@pytest.fixture(scope="module")
def client(ingest: Ingest) -> Iterator[Client]:
    at = ingest.process.address
    with Client(Endpoints(at, at, at, at)) as client:
        yield client


def picture(name: str, seed: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[av.VideoFrame, Planes]:
    """Random values in a planar or semi-planar format, and what its planes are."""
    frame = av.VideoFrame(width, height, name)
    depth = frame.format.components[0].bits
    choices, planes = np.random.default_rng(seed), []
    for index, plane in enumerate(frame.planes):
        channels = 2 if name == "nv12" and index == 1 else 1
        dtype = np.uint8 if depth == 8 else np.uint16
        values = choices.integers(0, 1 << depth, (plane.height, plane.width * channels)).astype(dtype)
        memory = np.zeros((plane.height, plane.line_size // dtype().itemsize), dtype)
        memory[:, : values.shape[1]] = values
        plane.update(memory.tobytes())
        planes += [values] if channels == 1 else [values[:, 0::2], values[:, 1::2]]
    return frame, planes


def encoded(
    path: Path,
    codec: str,
    frames: Sequence[av.VideoFrame],
    *,
    colour_range: int = 1,
    colorspace: int = 6,
    stamps: Sequence[int] | None = None,
) -> bytes:
    """A lossless video; stamps are in milliseconds."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        assert isinstance(stream, av.VideoStream)
        first = frames[0]
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
        if codec.startswith("libx264"):
            stream.options = {"qp": "0", "preset": "ultrafast"}
        stream.codec_context.color_range, stream.codec_context.colorspace = colour_range, colorspace
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            frame.color_range, frame.colorspace = colour_range, colorspace
            frame.pts = stamps[index] if stamps else 40 * index
            frame.time_base = Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "codec", "size"),
    [
        ("yuv420p10le", "ffv1", (WIDTH, HEIGHT)),
        ("yuv420p10le", "libx264", (WIDTH, HEIGHT)),
        ("yuv420p", "ffv1", (131, 97)),
        ("yuv422p", "ffv1", (WIDTH, HEIGHT)),
        ("yuv444p12le", "ffv1", (WIDTH, HEIGHT)),
        ("yuv420p9le", "ffv1", (WIDTH, HEIGHT)),
        ("nv12", "rawvideo", (WIDTH, HEIGHT)),
        ("gray16le", "ffv1", (131, 97)),
        ("gray", "ffv1", (WIDTH, HEIGHT)),
    ],
)
def test_planes_in_are_planes_out(
    ingest: Ingest, client: Client, tmp_path: Path, name: str, codec: str, size: tuple[int, int]
) -> None:
    made = [picture(name, seed, *size) for seed in range(COUNT)]
    data = encoded(tmp_path / "a.mkv", codec, [frame for frame, _ in made])

    clip = upload(ingest.stub, data, "a.mkv")

    depth = made[0][0].format.components[0].bits
    assert (clip.format.bit_depth, clip.format.stored_width, clip.format.stored_height) == (depth, *size)
    assert (clip.width, clip.height) == tuple(side - side % 2 for side in size)
    assert clip.frame_count == COUNT
    for index, (time_ns, planes) in enumerate(client.read_planes(clip.name)):
        assert time_ns == 40_000_000 * index
        for got, wanted in zip(planes.values(), made[index][1], strict=True):
            np.testing.assert_array_equal(got, wanted)
    assert index == COUNT - 1


@pytest.mark.parametrize("pixel_format", ["rgb24", "gbrp10le", "bgr0"])
def test_rgb_video_is_kept_as_rgb(ingest: Ingest, client: Client, tmp_path: Path, pixel_format: str) -> None:
    scene = moving_scene(4, HEIGHT, WIDTH, seed=3)
    frames = [
        av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pixel_format) for frame in scene
    ]
    codec = "libx264rgb" if pixel_format == "rgb24" else "ffv1"
    data = encoded(tmp_path / "a.mkv", codec, frames, colour_range=2, colorspace=0)
    clip = upload(ingest.stub, data, "a.mkv")
    assert clip.format.kind == ingest_pb2.FrameFormat.KIND_RGB
    got = np.stack([pixels for _, pixels in client.read_frames(clip.name)])
    if pixel_format == "gbrp10le":
        assert clip.format.bit_depth == 10
        np.testing.assert_allclose(got / 257, scene, atol=1)
    else:
        np.testing.assert_array_equal(got, scene)


def test_the_range_of_the_video_counts(ingest: Ingest, client: Client, tmp_path: Path) -> None:
    seen = {}
    for colour_range, name in ((1, "yuv420p"), (2, "yuv420p")):
        frame = av.VideoFrame(WIDTH, HEIGHT, name)
        for plane, level in zip(frame.planes, (235, 128, 128), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        data = encoded(tmp_path / f"{colour_range}.mkv", "ffv1", [frame, frame], colour_range=colour_range)
        clip = upload(ingest.stub, data, "a.mkv")
        assert clip.format.full_range == (colour_range == 2)
        (_, pixels), *_ = client.read_frames(clip.name, end=1)
        seen[colour_range] = set(pixels.reshape(-1).tolist())
    assert seen == {1: {255}, 2: {235}}


def test_times_of_a_variable_frame_rate_are_kept(ingest: Ingest, client: Client, tmp_path: Path) -> None:
    stamps = [0, 33, 67, 200, 233, 400]
    frames = [picture("yuv420p", seed)[0] for seed in range(len(stamps))]
    clip = upload(ingest.stub, encoded(tmp_path / "a.mkv", "ffv1", frames, stamps=stamps), "a.mkv")
    assert clip.variable_frame_rate
    assert clip.duration_seconds == pytest.approx(0.4, abs=0.2)
    assert [time_ns // 1_000_000 for time_ns, _ in client.read_planes(clip.name)] == stamps


# Of a track header: 16.16 fixed point, and 2.30 in the last column.
MATRICES = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


@pytest.mark.parametrize("degrees", MATRICES)
def test_a_turned_video_is_read_upright(ingest: Ingest, client: Client, tmp_path: Path, degrees: int) -> None:
    # Odd, so that cutting to even happens at the right edge of the upright picture.
    scene = moving_scene(4, 97, 131, seed=4)
    frames = [av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv444p") for frame in scene]
    data = bytearray(encoded(tmp_path / "a.mp4", "libx264", frames))
    a, b, c, d = (value << 16 & 0xFFFFFFFF for value in MATRICES[degrees])
    place = data.index(b"tkhd") + 4 + 40
    data[place : place + 36] = struct.pack(">9I", a, b, 0, c, d, 0, 0, 0, 1 << 30)

    clip = upload(ingest.stub, bytes(data), "a.mp4")

    assert clip.format.rotation == degrees
    assert (clip.width, clip.height) == ((130, 96) if degrees == 180 else (96, 130))
    upright = np.rot90(scene, -degrees // 90, axes=(1, 2))[:, : clip.height, : clip.width]
    got = np.stack([pixels for _, pixels in client.read_frames(clip.name)])
    assert np.abs(got.astype(int) - upright).mean() < 2
    box = Box(7, 5, 33, 21)
    part = np.stack([pixels for _, pixels in client.read_frames(clip.name, box=box)])
    np.testing.assert_array_equal(part, got[:, 5:26, 7:40])


def still(codec: str, pixels: np.ndarray, pixel_format: str, **options: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width, encoder.pix_fmt = *pixels.shape[:2], pixel_format
    encoder.time_base, encoder.options = Fraction(1, 25), options
    frame = av.VideoFrame.from_ndarray(pixels, format=pixel_format)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


STILLS = [
    ("png", "rgb24", "rgb24", {}),
    ("png", "rgb48be", "rgb48", {}),
    ("png", "gray16be", "gray16", {}),
    ("tiff", "rgb24", "rgb24", {"compression_algo": "raw"}),
    ("tiff", "rgb48le", "rgb48", {"compression_algo": "lzw"}),
    ("tiff", "gray16le", "gray16", {"compression_algo": "deflate"}),
    ("tiff", "gray", "gray", {"compression_algo": "packbits"}),
]


@pytest.mark.parametrize(("codec", "pixel_format", "kind", "options"), STILLS)
def test_stills_are_kept_exactly(
    ingest: Ingest, client: Client, codec: str, pixel_format: str, kind: str, options: dict[str, str]
) -> None:
    choices = np.random.default_rng(5)
    shape = (3, 97, 131, 3) if "rgb" in kind else (3, 97, 131)
    deep = "16" in kind or "48" in kind
    pixels = choices.integers(0, 1 << (16 if deep else 8), shape).astype(np.uint16 if deep else np.uint8)
    suffix = {"png": "png", "tiff": "tif"}[codec]
    tar = tar_of(
        {
            f"{index}.{suffix}": still(codec, frame, pixel_format, **options)
            for index, frame in enumerate(pixels)
        }
    )
    clip = upload(ingest.stub, tar, "a.tar")
    assert (clip.codec, clip.format.bit_depth) == (codec, 16 if deep else 8)
    got = np.stack([planes["frames"] for _, planes in client.read_planes(clip.name)])
    np.testing.assert_array_equal(got, pixels)


def test_stills_of_several_kinds_become_the_widest(ingest: Ingest, client: Client) -> None:
    gray = np.random.default_rng(6).integers(0, 256, (64, 64), np.uint8)
    colour = np.random.default_rng(7).integers(0, 65536, (64, 64, 3)).astype(np.uint16)
    clip = upload(
        ingest.stub,
        tar_of({"1.png": still("png", gray, "gray"), "2.png": still("png", colour, "rgb48be")}),
        "a.tar",
    )
    first, second = (pixels for _, pixels in client.read_frames(clip.name))
    np.testing.assert_array_equal(first, np.repeat(gray[:, :, None], 3, 2) * np.uint16(257))
    np.testing.assert_array_equal(second, colour)


@pytest.fixture(scope="module")
def clip(ingest: Ingest, tmp_path_factory: pytest.TempPathFactory) -> ingest_pb2.Clip:
    frames = [picture("yuv420p10le", seed, 1300, 1100)[0] for seed in range(11)]
    data = encoded(tmp_path_factory.mktemp("clip") / "a.mkv", "libx264", frames)
    return upload(ingest.stub, data, "a.mkv")


def test_any_part_of_a_clip_can_be_read(ingest: Ingest, client: Client, clip: ingest_pb2.Clip) -> None:
    whole = ClipFrames.open(ArtifactStore((ingest.folder / "artifacts").as_uri()), clip.frames_uri)
    rgb, planes = whole.rgb(0, 11), whole.stored(0, 11)
    got = list(client.read_frames(clip.name, 1, 10, step=4, box=Box(3, 700, 501, 33)))
    assert [time_ns for time_ns, _ in got] == [40_000_000, 200_000_000, 360_000_000]
    np.testing.assert_array_equal(np.stack([pixels for _, pixels in got]), rgb[1:10:4, 700:733, 3:504])
    # These frames are read in bands: they are larger than a piece.
    (got_rgb,) = (pixels for _, pixels in client.read_frames(clip.name, 10))
    np.testing.assert_array_equal(got_rgb, rgb[10])
    boxed = list(client.read_planes(clip.name, 9, box=Box(2, 4, 1000, 500)))
    for index, (_, frame) in enumerate(boxed):
        np.testing.assert_array_equal(frame["y"], planes["y"][9 + index, 4:504, 2:1002])
        np.testing.assert_array_equal(frame["v"], planes["v"][9 + index, 2:252, 1:501])


def test_parts_are_small(ingest: Ingest, clip: ingest_pb2.Clip) -> None:
    request = ingest_pb2.ReadFramesRequest(clip=clip.name, layout=ingest_pb2.ReadFramesRequest.LAYOUT_RGB)
    header, *parts = ingest.stub.ReadFrames(request)
    assert header.header.clip == clip
    assert header.header.bytes_per_frame == 1300 * 1100 * 3 * 2
    assert (header.header.format.bit_depth, header.header.frame_count) == (16, 11)
    assert max(len(part.part.data) for part in parts) <= 1 << 20
    assert sum(len(part.part.data) for part in parts) == 11 * header.header.bytes_per_frame


def test_the_asyncio_client_reads_too(ingest: Ingest, clip: ingest_pb2.Clip) -> None:
    async def times() -> list[int]:
        at = ingest.process.address
        async with AsyncClient(Endpoints(at, at, at, at)) as client:
            return [time_ns async for time_ns, _ in client.read_frames(clip.name, 8)]

    assert asyncio.run(times()) == [320_000_000, 360_000_000, 400_000_000]


STORED, RGB = ingest_pb2.ReadFramesRequest.LAYOUT_STORED, ingest_pb2.ReadFramesRequest.LAYOUT_RGB


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"layout": 0}, InvalidArgumentError, "layout"),
        ({"step": -1}, InvalidArgumentError, "step"),
        ({"first_frame": -1}, InvalidArgumentError, "first_frame"),
        ({"first_frame": 5, "end_frame": 5}, InvalidArgumentError, "end_frame"),
        ({"first_frame": 11}, OutOfRangeError, "first_frame"),
        ({"end_frame": 12}, OutOfRangeError, "end_frame"),
        ({"box": {"x": 0, "y": 0, "width": 0, "height": 4}}, InvalidArgumentError, "box.width"),
        ({"box": {"x": 1299, "y": 0, "width": 4, "height": 4}}, OutOfRangeError, "box.x"),
        ({"box": {"x": 0, "y": -2, "width": 4, "height": 4}}, OutOfRangeError, "box.y"),
        ({"box": {"x": 1, "y": 0, "width": 4, "height": 4}, "layout": STORED}, InvalidArgumentError, "box.x"),
        ({"clip": "clips/none"}, NotFoundError, ""),
        ({"clip": "none"}, InvalidArgumentError, "clip"),
    ],
)
def test_what_can_not_be_read(
    client: Client, clip: ingest_pb2.Clip, changes: dict[str, object], error: type, field: str
) -> None:
    fields: dict[str, object] = {"clip": clip.name, "layout": RGB}
    request = ingest_pb2.ReadFramesRequest(**(fields | changes))  # type: ignore[arg-type]
    with pytest.raises(error) as caught:
        list(client._frames(request))
    if field:
        assert caught.value.metadata["field"] == field


def test_frames_that_are_lost_are_no_black_pictures(ingest: Ingest, client: Client, tmp_path: Path) -> None:
    frames = [picture("yuv420p", seed)[0] for seed in range(3)]
    clip = upload(ingest.stub, encoded(tmp_path / "a.mkv", "ffv1", frames, stamps=[0, 50, 100]), "a.mkv")
    (shard,) = (ingest.folder / "artifacts" / clip.frames_uri / "u" / "c").rglob("0/0/0")
    shard.unlink()
    with pytest.raises(NotFoundError, match="upload it again"):
        list(client.read_frames(clip.name))


def test_tags_of_a_dataset(ingest: Ingest, client: Client, clip: ingest_pb2.Clip) -> None:
    parts = [
        ingest_pb2.DatasetClip(clip=clip.name, split=ingest_pb2.SPLIT_TRAIN, end_frame=4),
        ingest_pb2.DatasetClip(clip=clip.name, split=ingest_pb2.SPLIT_VALIDATION, first_frame=4),
    ]
    with pytest.raises(InvalidArgumentError, match="'Night' is no tag"):
        client.create_dataset(parts, tags=["Night"])
    other = upload(
        ingest.stub,
        tar_of({f"{n}.png": still("png", np.full((64, 64), n, np.uint8), "gray") for n in range(3)}),
        "b.tar",
    )
    parts.append(ingest_pb2.DatasetClip(clip=other.name, split=ingest_pb2.SPLIT_TEST))
    made = client.create_dataset(parts, tags=["night", "p-series"])
    assert list(client.get_dataset(made.name).tags) == ["night", "p-series"]

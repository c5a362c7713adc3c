"""Clips through a real store: what is written is what is read, whole and in boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoisp_core.errors import DataLossError, InvalidArgumentError, NotFoundError, OutOfRangeError
from autoisp_core.frames import Box, FrameFormat, FrameKind
from autoisp_core.sensor import SensorProfile, builtin
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames, ClipWriter
from autoisp_runtime.clip_frames import layout as layout_module
from autoisp_runtime.clip_frames.rgb import RgbConverter
from numpy.typing import NDArray

URI = "clips/c1/a"
YUV = {"matrix": "bt601", "full_range": False}
FORMATS = {
    "rgb8": FrameFormat(FrameKind.RGB, 8, 70, 66),
    "rgb16 odd": FrameFormat(FrameKind.RGB, 16, 71, 67),
    "gray12": FrameFormat(FrameKind.GRAY, 12, 70, 66),
    "yuv420p": FrameFormat(FrameKind.YUV, 8, 300, 200, 2, 2, "bt709", False),
    "yuv420p10 odd": FrameFormat(FrameKind.YUV, 10, 601, 433, 2, 2, "bt601", False),
    "yuv422p12": FrameFormat(FrameKind.YUV, 12, 70, 66, 2, 1, "bt2020", True),
    "yuv444p turned": FrameFormat(FrameKind.YUV, 8, 71, 67, 1, 1, "bt601", True, 90),
    "bayer": FrameFormat(FrameKind.BAYER, 10, 70, 66, cfa="GRBG"),
}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path))


def noise(frame_format: FrameFormat, count: int, seed: int = 0) -> list[tuple[NDArray[Any], ...]]:
    choices = np.random.default_rng(seed)
    return [
        tuple(
            choices.integers(0, 1 << frame_format.bit_depth, shape).astype(frame_format.dtype)
            for shape in frame_format.planes().values()
        )
        for _ in range(count)
    ]


def written(
    store: ArtifactStore, frame_format: FrameFormat, frames: list[tuple[NDArray[Any], ...]]
) -> ClipFrames:
    sensor: SensorProfile | None = builtin("phone") if frame_format.kind is FrameKind.BAYER else None
    with ClipWriter(store, URI, frame_format, sensor) as writer:
        for index, planes in enumerate(frames):
            writer.append(planes, index * 40_000_000)
    clip = ClipFrames.open(store, URI)
    assert (clip.format, clip.sensor, clip.count) == (frame_format, sensor, len(frames))
    return clip


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    frame_format = FORMATS[name]
    # Some blocks of a few frames, the last of them not full.
    monkeypatch.setattr(layout_module, "BLOCK_BYTES", 17 * frame_format.frame_bytes)
    frames = noise(frame_format, 37)

    clip = written(store, frame_format, frames)

    planes = clip.stored(0, 37)
    assert list(planes) == list(frame_format.planes())
    for place, plane in enumerate(planes.values()):
        np.testing.assert_array_equal(plane, np.stack([frame[place] for frame in frames]))
    assert clip.times_ns().tolist() == [index * 40_000_000 for index in range(37)]
    few = clip.stored(20, 23, Box(8, 4, 32, 16))
    for (plane_name, plane), whole in zip(few.items(), planes.values(), strict=True):
        h, v = (frame_format.h_step, frame_format.v_step) if plane_name in "uv" else (1, 1)
        np.testing.assert_array_equal(plane, whole[20:23, 4 // v : 20 // v, 8 // h : 40 // h])


@pytest.mark.parametrize("name", FORMATS)
def test_a_box_looks_as_in_the_whole_picture(store: ArtifactStore, name: str) -> None:
    clip = written(store, FORMATS[name], noise(FORMATS[name], 3))
    whole = clip.rgb(0, 3)
    width, height = clip.rgb_size

    assert whole.shape == (3, height, width, 3)
    assert (width % 2, height % 2, str(whole.dtype)) == (0, 0, clip.rgb_dtype)
    for box in (
        Box(0, 0, 1, 1),
        Box(3, 5, 11, 13),
        Box(width - 9, height - 7, 9, 7),
        Box(0, 7, width, 2),
    ):
        part = clip.rgb(1, 3, box)
        np.testing.assert_array_equal(part, whole[1:, box.y : box.y + box.height, box.x : box.x + box.width])


def test_a_writer_holds_two_blocks_at_most(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    frame_format = FORMATS["rgb8"]
    monkeypatch.setattr(layout_module, "BLOCK_BYTES", 8 * frame_format.frame_bytes)
    with ClipWriter(store, URI, frame_format) as writer:
        for index, planes in enumerate(noise(frame_format, 60)):
            writer.append(planes, 0)
            assert index + 1 - writer.stored <= 2 * writer.block_frames
    assert writer.count == 60


@pytest.mark.parametrize(
    ("width", "height"), [(64, 64), (176, 144), (1920, 1080), (3840, 2160), (8192, 8192)]
)
@pytest.mark.parametrize("depth", [8, 16])
def test_chunks_and_blocks_are_of_a_useful_size(width: int, height: int, depth: int) -> None:
    frame_format = FrameFormat(FrameKind.YUV, depth, width, height, 2, 2, "bt709", False)
    for plane in layout_module.layouts(frame_format):
        values = np.prod(plane.chunk)
        assert values * (depth // 8) <= 1 << 20
        assert np.prod(plane.shard[1:]) <= np.prod(plane.shape) * 1.1
    block = plane.block_frames * frame_format.frame_bytes
    assert block <= max(layout_module.BLOCK_BYTES, frame_format.frame_bytes)
    assert plane.block_frames % plane.chunk[0] == 0


def test_a_frame_of_another_shape_or_type_is_refused(store: ArtifactStore) -> None:
    with (
        pytest.raises(InvalidArgumentError, match="frame 0 has planes"),
        ClipWriter(store, URI, FORMATS["rgb8"]) as writer,
    ):
        writer.append((np.zeros((66, 70, 3), np.uint16),), 0)
    with pytest.raises(NotFoundError, match="clips/c1 are not in the store"):
        ClipFrames.open(store, URI)


def test_a_mosaic_needs_its_sensor(store: ArtifactStore) -> None:
    with pytest.raises(InvalidArgumentError, match="sensor"):
        ClipWriter(store, URI, FORMATS["bayer"])


def test_what_is_outside_of_the_clip_is_refused(store: ArtifactStore) -> None:
    clip = written(store, FORMATS["yuv420p"], noise(FORMATS["yuv420p"], 3))
    for first, end in ((0, 4), (-1, 2), (3, 4)):
        with pytest.raises(OutOfRangeError, match="3 frames"):
            clip.rgb(first, end)
    with pytest.raises(InvalidArgumentError, match="no frame"):
        clip.rgb(2, 2)
    with pytest.raises(OutOfRangeError, match="whose width is 300"):
        clip.stored(0, 1, Box(298, 0, 4, 4))
    with pytest.raises(InvalidArgumentError, match="multiples of 2"):
        clip.stored(0, 1, Box(1, 0, 4, 4))


def test_damaged_frames_are_data_loss(store: ArtifactStore, tmp_path: Path) -> None:
    clip = written(store, FORMATS["rgb8"], noise(FORMATS["rgb8"], 3))
    (shard,) = (tmp_path / URI / "frames" / "c").rglob("0/0/0/0")
    data = bytearray(shard.read_bytes())
    data[1000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(DataLossError, match="clips/c1 can't be read"):
        clip.rgb(0, 1)


def planes_of(y: int, u: int, v: int, frame_format: FrameFormat) -> tuple[NDArray[Any], ...]:
    shapes = frame_format.planes().values()
    return tuple(
        np.full(shape, value, frame_format.dtype) for shape, value in zip(shapes, (y, u, v), strict=True)
    )


@pytest.mark.parametrize("depth", [9, 10, 12, 14, 16])
@pytest.mark.parametrize("full_range", [True, False])
def test_deep_luminance_spans_16_bits(store: ArtifactStore, depth: int, full_range: bool) -> None:
    frame_format = FrameFormat(FrameKind.YUV, depth, 64, 64, 2, 2, "bt709", full_range)
    scale = 1 << (depth - 8)
    black, white = (0, (1 << depth) - 1) if full_range else (16 * scale, 235 * scale)
    levels = np.linspace(black, white, 9).round().astype(int)
    clip = written(
        store, frame_format, [planes_of(y, 128 * scale, 128 * scale, frame_format) for y in levels]
    )
    seen = clip.rgb(0, 9)
    assert (seen == seen[:, :1, :1, :1]).all()
    expected = (levels - black) / (white - black) * 65535
    np.testing.assert_allclose(seen[:, 0, 0, 0], expected, atol=16)


@pytest.mark.parametrize(("h_step", "v_step"), [(2, 2), (2, 1), (1, 2), (1, 1)])
@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_colours_are_those_of_the_standard(depth: int, h_step: int, v_step: int) -> None:
    """Of BT.709, which says what is what without rounding; the scaler has paths that do not keep to it."""
    if depth == 16 and v_step > h_step:
        pytest.skip("there is no 4:4:0 of 16 bits")
    frame_format = FrameFormat(FrameKind.YUV, depth, 64, 64, h_step, v_step, "bt709", False)
    convert = RgbConverter(frame_format)
    whole = Box(0, 0, 64, 64)
    colours = np.random.default_rng(0).integers(20, 230, (40, 3))
    for colour in (*colours, (63, 102, 240), (100, 20, 60)):
        planes = {
            name: np.full(shape, value << (depth - 8), frame_format.dtype)
            for (name, shape), value in zip(frame_format.planes().items(), colour, strict=True)
        }
        y, u, v = (colour[0] - 16) / 219, (colour[1] - 128) / 224, (colour[2] - 128) / 224
        red, blue = y + 1.5748 * v, y + 1.8556 * u
        wanted = np.clip([red, (y - 0.2126 * red - 0.0722 * blue) / 0.7152, blue], 0, 1)
        pixels = convert(planes, convert.around(whole), whole)
        seen = pixels.reshape(-1, 3) / np.iinfo(pixels.dtype).max
        np.testing.assert_allclose(seen, np.broadcast_to(wanted, seen.shape), atol=0.004)


def test_gray_and_rgb_of_odd_depths_span_all_bits(store: ArtifactStore) -> None:
    frame_format = FrameFormat(FrameKind.GRAY, 10, 64, 64)
    levels = (0, 512, 1023)
    frames = [(np.full((64, 64), level, np.uint16),) for level in levels]
    assert written(store, frame_format, frames).rgb(0, 3)[:, 0, 0, 0].tolist() == [0, 32800, 65535]


def test_a_mosaic_is_developed_at_half_its_size(store: ArtifactStore) -> None:
    sensor = builtin("phone").with_identity_ccm()
    frame_format = FrameFormat(FrameKind.BAYER, 10, 64, 68, cfa="BGGR")
    grey = 0.1
    # What the sensor sees of grey: each colour divided by its gain.
    codes = {
        colour: round(sensor.black_level + (sensor.white_level - sensor.black_level) * grey / gain)
        for colour, gain in zip("RGB", sensor.gains, strict=True)
    }
    tile = np.array([codes[colour] for colour in "BGGR"], np.uint16).reshape(2, 2)
    with ClipWriter(store, URI, frame_format, sensor) as writer:
        writer.append((np.tile(tile, (34, 32)),), 0)
    clip = ClipFrames.open(store, URI)
    pixels = clip.rgb(0, 1)
    assert (clip.rgb_size, pixels.shape, pixels.dtype) == ((32, 34), (1, 34, 32, 3), np.uint16)
    np.testing.assert_allclose(pixels / 65535, 1.055 * grey ** (1 / 2.4) - 0.055, atol=2e-3)


def test_highlights_of_a_mosaic_stay_white(store: ArtifactStore) -> None:
    frame_format = FrameFormat(FrameKind.BAYER, 10, 64, 64, cfa="RGGB")
    clip = written(store, frame_format, [(np.full((64, 64), 1023, np.uint16),)])
    assert (clip.rgb(0, 1) == 65535).all()


def test_a_clip_without_its_end_is_none(store: ArtifactStore, tmp_path: Path) -> None:
    written(store, FORMATS["rgb8"], noise(FORMATS["rgb8"], 2))
    (tmp_path / URI / "zarr.json").unlink()
    with pytest.raises(NotFoundError):
        ClipFrames.open(store, URI)


def test_a_shard_that_is_gone_is_no_black_picture(store: ArtifactStore, tmp_path: Path) -> None:
    clip = written(store, FORMATS["yuv420p"], noise(FORMATS["yuv420p"], 2))
    (shard,) = (tmp_path / URI / "v" / "c").rglob("0/0/0")
    shard.unlink()
    with pytest.raises(NotFoundError, match="upload it again"):
        clip.rgb(0, 1)

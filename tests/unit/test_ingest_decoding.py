"""Pictures, their formats and colours; whole files of every kind go through the integration tests."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import CHROMA_LOCATIONS, Box, FrameFormat, FrameKind
from autoisp_ingest.decoding.frame_times import FrameTimes
from autoisp_ingest.decoding.pictures import PictureReader
from autoisp_ingest.decoding.png import png_head
from autoisp_ingest.decoding.stills import (
    StillError,
    StillHead,
    common_format,
    decode_still,
    still_planes,
)
from autoisp_ingest.decoding.tiff import tiff_head, without_extras
from autoisp_runtime.clip_frames.rgb import RgbConverter
from numpy.typing import NDArray

BT709, BT601, BT2020, UNNAMED = 1, 6, 9, 2
LIMITED, FULL = 1, 2


def flat(
    y: int, u: int, v: int, *, matrix: int = BT601, colour_range: int = LIMITED, height: int = 64
) -> av.VideoFrame:
    """A YUV picture of one colour."""
    picture = av.VideoFrame(64, height, "yuv420p")
    for plane, value in zip(picture.planes, (y, u, v), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    picture.colorspace, picture.color_range = matrix, colour_range
    return picture


def converted(picture: av.VideoFrame) -> list[int]:
    """The one colour that reading the stored planes gives."""
    pixels = all_converted(picture)
    assert (pixels == pixels[0, 0]).all()
    return [int(value) for value in pixels[0, 0]]


def all_converted(picture: av.VideoFrame) -> NDArray[Any]:
    reader = PictureReader("a.mp4", picture)
    planes = dict(zip(reader.format.planes(), reader(picture, "frame 1"), strict=True))
    convert = RgbConverter(reader.format)
    whole = Box(0, 0, picture.width, picture.height)
    return convert(planes, convert.around(whole), whole)


def test_limited_range_is_stretched_and_full_range_is_not() -> None:
    assert converted(flat(235, 128, 128)) == [255, 255, 255]
    assert converted(flat(16, 128, 128)) == [0, 0, 0]
    assert converted(flat(235, 128, 128, colour_range=FULL)) == [235, 235, 235]
    assert converted(flat(16, 128, 128, colour_range=FULL)) == [16, 16, 16]


# The reddest red in each matrix, by the standards' own equations.
RED_601, RED_709, RED_2020 = (81, 90, 240), (63, 102, 240), (74, 97, 240)


def test_the_matrix_of_the_picture_counts() -> None:
    assert converted(flat(*RED_601, matrix=BT601)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_709, matrix=BT709)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_2020, matrix=BT2020)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_709, matrix=BT601)) != pytest.approx([255, 0, 0], abs=2)


def test_without_a_name_the_matrix_follows_the_height() -> None:
    assert converted(flat(*RED_601, matrix=UNNAMED)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_709, matrix=UNNAMED, height=720)) == pytest.approx([255, 0, 0], abs=2)


def test_a_matrix_that_clips_can_not_hold_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="colour matrix number 8"):
        PictureReader("a.mp4", flat(100, 128, 128, matrix=8))


def test_grey_stays_grey_over_the_whole_scale() -> None:
    for level in range(16, 236, 7):
        expected = round((level - 16) * 255 / 219)
        assert converted(flat(level, 128, 128)) == pytest.approx([expected] * 3, abs=1)


YUV, RGB, GRAY = FrameKind.YUV, FrameKind.RGB, FrameKind.GRAY
KEPT = {
    "yuv420p": (YUV, 8, 2, 2),
    "yuvj420p": (YUV, 8, 2, 2),
    "yuva420p": (YUV, 8, 2, 2),
    "yuv422p": (YUV, 8, 2, 1),
    "yuv440p": (YUV, 8, 1, 2),
    "yuv444p": (YUV, 8, 1, 1),
    "yuv420p9le": (YUV, 9, 2, 2),
    "yuv422p10le": (YUV, 10, 2, 1),
    "yuv444p12le": (YUV, 12, 1, 1),
    "nv12": (YUV, 8, 2, 2),
    "nv16": (YUV, 8, 2, 1),
    "p010le": (YUV, 10, 2, 2),
    "p210le": (YUV, 10, 2, 1),
    "gray": (GRAY, 8, 1, 1),
    "gray10le": (GRAY, 10, 1, 1),
    "gray16le": (GRAY, 16, 1, 1),
    "gbrp": (RGB, 8, 1, 1),
    "gbrp12le": (RGB, 12, 1, 1),
    "rgb24": (RGB, 8, 1, 1),
    "rgb48le": (RGB, 16, 1, 1),
    "rgba": (RGB, 8, 1, 1),
    "bgr0": (RGB, 8, 1, 1),
    "rgb48be": (RGB, 16, 1, 1),
    "gray16be": (GRAY, 16, 1, 1),
    "ya8": (GRAY, 8, 1, 1),
    "gray10be": (GRAY, 10, 1, 1),
    "gbrp12be": (RGB, 12, 1, 1),
    "yuv422p10be": (YUV, 10, 2, 1),
    "yuyv422": (YUV, 8, 2, 1),
    "uyvy422": (YUV, 8, 2, 1),
    "yvyu422": (YUV, 8, 2, 1),
    "yuv410p": (RGB, 8, 1, 1),
    "nv21": (RGB, 8, 1, 1),
    "y210le": (RGB, 16, 1, 1),
    "pal8": (RGB, 8, 1, 1),
    "xyz12le": (RGB, 16, 1, 1),
}


def noise(name: str, width: int = 67, height: int = 65) -> av.VideoFrame:
    """A picture of random values that its format can hold."""
    picture = av.VideoFrame(width, height, name)
    depth = picture.format.components[0].bits
    choices = np.random.default_rng(1)
    for plane in picture.planes:
        if depth == 8:
            data = choices.integers(0, 256, plane.buffer_size, dtype=np.uint8)
        else:
            data = choices.integers(0, 1 << depth, plane.buffer_size // 2, dtype=np.uint16)
            data = data << (16 - depth if name.startswith("p") else 0)
            data = data.astype(">u2" if name.endswith("be") else "<u2")
        plane.update(data.tobytes())
    return picture


def stored_bytes(picture: av.VideoFrame) -> bytes:
    """As files without a head hold it: rows behind each other."""
    rows = []
    for plane in picture.planes:
        row_bytes = plane.width * (1 if picture.format.components[0].bits == 8 else 2)
        if len(picture.planes) < 3:
            row_bytes *= 2 if rows or len(picture.planes) == 1 else 1  # two values in one place
        rows += [bytes(plane)[start:][:row_bytes] for start in range(0, plane.buffer_size, plane.line_size)]
    return b"".join(rows)


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_of_a_pixel_format(name: str) -> None:
    picture = noise(name)
    picture.colorspace = BT709
    reader = PictureReader("a.mkv", picture)
    kept = reader.format
    assert (kept.kind, kept.bit_depth, kept.h_step, kept.v_step) == KEPT[name]
    assert (kept.stored_width, kept.stored_height) == (67, 65)
    planes = reader(picture, "frame 1")
    assert [plane.shape for plane in planes] == list(kept.planes().values())
    assert {str(plane.dtype) for plane in planes} == {kept.dtype}
    assert max(plane.max() for plane in planes) < 1 << kept.bit_depth


@pytest.mark.parametrize(
    "name",
    ["yuv420p", "yuv420p10le", "yuv444p", "gray16le", "gray16be", "rgb24", "gbrp", "rgb48le", "rgb48be"],
)
def test_planes_are_exactly_what_the_decoder_gave(name: str) -> None:
    picture = noise(name, 66, 66)
    planes = PictureReader("a.mkv", picture)(picture, "frame 1")
    # PyAV's own reading of the same picture.
    expected = picture.to_ndarray()
    if name == "yuv444p":
        np.testing.assert_array_equal(np.stack(planes, axis=expected.shape.index(3)), expected)
    else:
        values = np.concatenate([plane.reshape(-1) for plane in planes])
        np.testing.assert_array_equal(values, expected.reshape(-1))


@pytest.mark.parametrize(
    ("packed", "planar"),
    [
        ("nv12", "yuv420p"),
        ("nv16", "yuv422p"),
        ("p010le", "yuv420p10le"),
        ("yuyv422", "yuv422p"),
        ("uyvy422", "yuv422p"),
        ("yvyu422", "yuv422p"),
        ("yuv420p10be", "yuv420p10le"),
        ("yuv444p12be", "yuv444p12le"),
        ("gbrp10be", "gbrp10le"),
        ("gray12be", "gray12le"),
    ],
)
def test_values_in_another_order_stay_the_same(packed: str, planar: str) -> None:
    source = noise(planar, 66, 66)
    source.colorspace = BT601
    same = source.reformat(format=packed, threads=1)  # several write over each other's rows
    expected = PictureReader("a.mkv", source)(source, "frame 1")
    same.colorspace = BT601
    for plane, wanted in zip(PictureReader("a.mkv", same)(same, "frame 1"), expected, strict=True):
        np.testing.assert_array_equal(plane, wanted)


def test_pixels_of_packed_yuv_are_where_its_bytes_say() -> None:
    for name, order in (("yuyv422", "yuyv"), ("uyvy422", "uyvy"), ("yvyu422", "yvyu")):
        decoder = av.CodecContext.create("rawvideo", "r")
        decoder.width, decoder.height, decoder.pix_fmt = 65, 64, name
        stored = np.random.default_rng(2).integers(0, 256, (64, 33, 4), dtype=np.uint8)
        (picture,) = decoder.decode(av.Packet(stored.tobytes()))
        y, u, v = PictureReader("a.mov", picture)(picture, "frame 1")
        first = order.index("y")
        np.testing.assert_array_equal(y, stored[:, :, first::2].reshape(64, 66)[:, :65])
        np.testing.assert_array_equal(u, stored[:, :, order.index("u")])
        np.testing.assert_array_equal(v, stored[:, :, order.index("v")])


@pytest.mark.parametrize(
    "name", ["yuyv422", "uyvy422", "yuv420p10be", "yuv411p", "nv21", "vuya", "y210le", "p010be"]
)
@pytest.mark.parametrize(
    ("height", "matrix", "red"),
    [
        (64, UNNAMED, "601"),
        (720, UNNAMED, "709"),
        (720, BT601, "601"),
        (64, BT709, "709"),
        (64, BT2020, "2020"),
    ],
)
def test_the_matrix_counts_in_every_layout(name: str, height: int, matrix: int, red: str) -> None:
    source = flat(*{"601": RED_601, "709": RED_709, "2020": RED_2020}[red], height=height)
    picture = source.reformat(format=name, threads=1)
    picture.colorspace, picture.color_range = matrix, LIMITED
    pixels = all_converted(picture)
    for seen in np.unique(pixels.reshape(-1, 3), axis=0) / np.iinfo(pixels.dtype).max:
        assert seen == pytest.approx([1, 0, 0], abs=0.01)


@pytest.mark.parametrize("name", ["uyvy422", "yuv420p10be", "yuv411p"])
def test_a_matrix_that_clips_can_not_hold_is_refused_in_every_layout(name: str) -> None:
    picture = noise(name)
    picture.colorspace = 8
    with pytest.raises(InvalidArgumentError, match="colour matrix number 8"):
        PictureReader("a.mov", picture)


@pytest.mark.parametrize("location", CHROMA_LOCATIONS)
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "yuv420p10be", "nv12", "yuyv422", "uyvy422"])
def test_where_chrominance_lies_is_found_out(location: str, name: str) -> None:
    source = noise(name, 66, 66)
    decoder = av.CodecContext.create("rawvideo", "r")
    decoder.width, decoder.height, decoder.pix_fmt = 66, 66, name
    decoder.options = {"chroma_sample_location": location}
    (picture,) = decoder.decode(av.Packet(stored_bytes(source)))
    before = [bytes(plane) for plane in picture.planes]
    found = PictureReader("a.mkv", picture).format
    # Where every row has chrominance, nobody can see on which side of a row it lies.
    across = {"topleft": "left", "bottomleft": "left", "top": "center", "bottom": "center"}
    assert found.chroma_location == (location if found.v_step == 2 else across.get(location, location))
    assert [bytes(plane) for plane in picture.planes] == before


def test_a_frame_of_another_size_is_refused() -> None:
    read = PictureReader("a.mkv", flat(0, 0, 0))
    with pytest.raises(InvalidArgumentError, match=r"frame 7 of 'a.mkv' is 64x66 while the first is 64x64"):
        read(flat(0, 0, 0, height=66), "frame 7")


def test_a_frame_of_another_range_is_refused() -> None:
    read = PictureReader("a.mkv", flat(0, 0, 0))
    with pytest.raises(InvalidArgumentError, match="another pixel format, matrix, range"):
        read(flat(0, 0, 0, colour_range=FULL), "frame 7")


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_refused(transfer: int) -> None:
    picture = flat(100, 128, 128)
    picture.color_trc = transfer
    with pytest.raises(InvalidArgumentError, match="SDR"):
        PictureReader("a.mp4", picture)


def test_times_follow_the_stamps_and_else_the_rate() -> None:
    times = FrameTimes("a.mkv", Fraction(25), Fraction(1, 1000))
    stamps = [100, 140, None, 230, 230, 400]
    given = []
    for stamp in stamps:
        picture = flat(0, 0, 0)
        picture.pts = stamp
        given.append(times(picture))
    assert given == [0, 40_000_000, 80_000_000, 130_000_000, 170_000_000, 300_000_000]
    assert times.step_ns == 1_000_000


@pytest.mark.parametrize(
    ("rate", "base", "stamps"),
    [
        (Fraction(25), Fraction(2**31 - 1), range(8)),
        (Fraction(25), Fraction(1, 1000), [-(2**62), 2**62]),
        (Fraction(1, 2**31), None, [None] * 8),
    ],
)
def test_times_of_centuries_are_damage(rate: Fraction, base: Fraction | None, stamps: list[int]) -> None:
    times = FrameTimes("a.mkv", rate, base)

    def stamped() -> Iterator[int]:
        picture = flat(0, 0, 0)
        for stamp in stamps:
            picture.pts = stamp
            yield times(picture)

    given: list[int] = []
    with pytest.raises(InvalidArgumentError, match=r"'a\.mkv' has a frame") as caught:
        given.extend(stamped())
    assert caught.value.reason == "DAMAGED_FOOTAGE"
    assert all(time < 2**63 for time in given)


def still(codec: str, pixel_format: str, **options: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    encoder.height = encoder.width = 64
    encoder.pix_fmt, encoder.time_base, encoder.options = pixel_format, Fraction(1, 25), options
    level = (200, 100, 50)
    picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
    packets = [*encoder.encode(picture.reformat(format=pixel_format)), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


TIFFS = {"raw": "rgb24", "lzw": "rgb48le", "deflate": "gray16le", "packbits": "gray"}


def tiff(compression: str) -> bytes:
    return still("tiff", TIFFS[compression], compression_algo=compression)


@pytest.mark.parametrize("compression", TIFFS)
def test_tiff_of_every_compression(compression: str) -> None:
    data = tiff(compression)
    name = TIFFS[compression]
    assert tiff_head(data) == StillHead(64, 64, "rgb" in name, name not in ("rgb24", "gray"))
    picture = decode_still("tiff", without_extras(data), "'1.tif'")
    assert (picture.width, picture.height, picture.format.name) == (64, 64, name)


@pytest.mark.parametrize("compression", TIFFS)
def test_no_cut_tiff_passes(compression: str) -> None:
    data = tiff(compression)
    for length in range(len(data)):
        with pytest.raises(StillError):
            tiff_head(data[:length])


@pytest.mark.parametrize("compression", TIFFS)
def test_flipped_bits_in_a_tiff_harm_nobody(compression: str) -> None:
    """Uncompressed pixels have no checksum; whatever else is wrong is refused, or is still a picture."""
    data = bytearray(tiff(compression))
    for position in [*range(8), *range(8, len(data) - 220, 97), *range(len(data) - 220, len(data))]:
        for bit in (0x01, 0x80):
            data[position] ^= bit
            try:
                head = tiff_head(bytes(data))
                if max(head.width, head.height) <= 512:
                    decode_still("tiff", without_extras(bytes(data)), "'1.tif'")
            except (StillError, InvalidArgumentError):
                pass
            data[position] ^= bit


def retagged(data: bytes, changes: dict[int, int]) -> bytes:
    """A TIFF file whose tags have other values."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    changed = bytearray(data)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from("<HH", data, entry)
        if tag in changes:
            struct.pack_into("<H" if kind == 3 else "<I", changed, entry + 8, changes[tag])
    return bytes(changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({256: 60_000, 257: 60_000}, "fewer bytes than its size takes"),
        ({259: 7}, "compression 7 is not taken"),
        ({262: 3}, "neither RGB nor gray"),
        ({262: 0}, "neither RGB nor gray"),
        ({277: 60}, "neither RGB nor gray"),
        ({273: 1 << 30}, "cut off"),
        ({279: 0}, "cut off"),
    ],
)
def test_tiffs_that_are_refused_from_their_head(changes: dict[int, int], message: str) -> None:
    with pytest.raises(StillError, match=message):
        tiff_head(retagged(still("tiff", "gray", compression_algo="raw"), changes))


def test_a_tiff_of_several_pages_is_refused() -> None:
    data = still("tiff", "gray", compression_algo="raw")
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    place = start + 2 + 12 * count
    with pytest.raises(StillError, match="several pages"):
        tiff_head(data[:place] + struct.pack("<I", start) + data[place + 4 :])


@pytest.mark.parametrize(
    ("pixel_format", "colour", "deep"),
    [
        ("rgb24", True, False),
        ("rgba", True, False),
        ("rgb48be", True, True),
        ("rgba64be", True, True),
        ("gray", False, False),
        ("gray16be", False, True),
        ("ya8", False, False),
        ("ya16be", False, True),
        ("monob", False, False),
    ],
)
def test_png_of_every_depth(pixel_format: str, colour: bool, deep: bool) -> None:
    data = still("png", pixel_format)
    head = png_head(data)
    assert head == StillHead(64, 64, colour, deep)
    picture = decode_still("png", data, "'1.png'")
    (pixels,) = still_planes(picture, common_format([head]), "a.tar", "'1.png'")
    if pixel_format != "monob":
        expected = np.array([200, 100, 50] if colour else [124]) * (257 if deep else 1)
        np.testing.assert_allclose(
            pixels.reshape(64 * 64, -1), expected[None].repeat(64 * 64, 0), atol=1 + 256 * deep
        )
    widened = FrameFormat(FrameKind.RGB, 16, 64, 64)
    (wide,) = still_planes(picture, widened, "a.tar", "'1.png'")
    assert wide.shape == (64, 64, 3)
    assert wide.dtype == np.uint16
    assert (
        wide == (pixels if pixels.ndim == 3 else pixels[:, :, None]) * np.uint16(1 if deep else 257)
    ).all()


def interlaced_png(pixels: NDArray[np.uint8]) -> bytes:
    """In seven passes, as Adam7 orders them."""
    height, width, _ = pixels.shape
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    rows = b"".join(
        b"\0" + row.tobytes() for top, left, down, right in passes for row in pixels[top::down, left::right]
    )

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_an_interlaced_png_is_one_moment() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 72, 3), dtype=np.uint8)
    data = interlaced_png(pixels)
    head = png_head(data)
    picture = decode_still("png", data, "'1.png'")
    assert picture.interlaced_frame
    (planes,) = still_planes(picture, common_format([head]), "a.tar", "'1.png'")
    np.testing.assert_array_equal(planes, pixels)


def test_interlaced_video_is_refused() -> None:
    picture = decode_still("png", interlaced_png(np.zeros((64, 64, 3), np.uint8)), "'1.png'")
    with pytest.raises(InvalidArgumentError, match="deinterlace") as caught:
        PictureReader("a.mkv", picture)
    assert caught.value.reason == "INTERLACED"


def test_no_cut_png_passes() -> None:
    data = still("png", "rgb24")
    for length in range(len(data)):
        with pytest.raises(StillError):
            png_head(data[:length])


def test_no_flipped_bit_in_a_png_passes_unnoticed() -> None:
    data = bytearray(still("png", "rgb24"))
    for position in range(len(data) - 4):
        data[position] ^= 0x10
        with pytest.raises(StillError):
            png_head(bytes(data))
        data[position] ^= 0x10


def test_png_with_pixels_that_are_no_deflate_stream() -> None:
    body = b"IDAT" + b"\xff" * 10
    data = still("png", "rgb24")
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    broken = data[:start] + struct.pack(">I", 10) + body + struct.pack(">I", zlib.crc32(body)) + data[end:]
    assert png_head(broken) == StillHead(64, 64, True, False)
    with pytest.raises(InvalidArgumentError, match=r"'1\.png'"):
        decode_still("png", broken, "'1.png'")

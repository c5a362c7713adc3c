"""Colours, ranges and pictures; whole files of every kind go through the integration tests."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_ingest.decoding.picture import RgbConverter, even
from autoisp_ingest.decoding.png import PngError, decode_png, png_size

BT709, BT601, UNNAMED = 1, 6, 2
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
    pixels = RgbConverter("a.mp4", picture.width, picture.height)(picture, "frame 1")
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert (pixels == pixels[0, 0]).all()
    return [int(value) for value in pixels[0, 0]]


def test_limited_range_is_stretched_and_full_range_is_not() -> None:
    assert converted(flat(235, 128, 128)) == [255, 255, 255]
    assert converted(flat(16, 128, 128)) == [0, 0, 0]
    assert converted(flat(235, 128, 128, colour_range=FULL)) == [235, 235, 235]
    assert converted(flat(16, 128, 128, colour_range=FULL)) == [16, 16, 16]


# The reddest red in each matrix, by the standards' own equations.
RED_601, RED_709 = (81, 90, 240), (63, 102, 240)


def test_the_matrix_of_the_picture_counts() -> None:
    assert converted(flat(*RED_601, matrix=BT601)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_709, matrix=BT709)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_709, matrix=BT601)) != pytest.approx([255, 0, 0], abs=2)


def test_without_a_name_the_matrix_follows_the_height() -> None:
    assert converted(flat(*RED_601, matrix=UNNAMED)) == pytest.approx([255, 0, 0], abs=2)
    assert converted(flat(*RED_709, matrix=UNNAMED, height=720)) == pytest.approx([255, 0, 0], abs=2)


def test_grey_stays_grey_over_the_whole_scale() -> None:
    for level in range(16, 236, 7):
        expected = round((level - 16) * 255 / 219)
        assert converted(flat(level, 128, 128)) == pytest.approx([expected] * 3, abs=1)


def test_odd_sides_lose_their_last_row_and_column() -> None:
    pixels = np.arange(65 * 67 * 3, dtype=np.uint8).reshape(65, 67, 3)
    picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    np.testing.assert_array_equal(RgbConverter("a", 67, 65)(picture, "frame 1"), pixels[:64, :66])
    assert [even(side) for side in (64, 65, 66)] == [64, 64, 66]


def test_a_frame_of_another_size_is_refused() -> None:
    convert = RgbConverter("a.mkv", 64, 64)
    with pytest.raises(InvalidArgumentError, match=r"frame 7 of 'a.mkv' is 64x66 while the first is 64x64"):
        convert(flat(0, 0, 0, height=66), "frame 7")


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_refused(transfer: int) -> None:
    picture = flat(100, 128, 128)
    picture.color_trc = transfer
    with pytest.raises(InvalidArgumentError, match="SDR"):
        RgbConverter("a.mp4", 64, 64)(picture, "frame 1")


def png(pixel_format: str) -> bytes:
    encoder = av.CodecContext.create("png", "w")
    encoder.height = encoder.width = 64
    encoder.pix_fmt, encoder.time_base = pixel_format, Fraction(1, 25)
    picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), (200, 100, 50), np.uint8), format="rgb24")
    packets = [*encoder.encode(picture.reformat(format=pixel_format)), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


@pytest.mark.parametrize("pixel_format", ["rgb24", "rgba", "rgb48be", "rgba64be", "gray", "gray16be"])
def test_png_of_every_depth(pixel_format: str) -> None:
    data = png(pixel_format)
    assert png_size(data) == (64, 64)
    expected = [200, 100, 50] if "rgb" in pixel_format else [124, 124, 124]
    assert converted(decode_png(data, "'1.png'")) == pytest.approx(expected, abs=1)


def test_no_cut_png_passes() -> None:
    data = png("rgb24")
    for length in range(len(data)):
        with pytest.raises(PngError):
            png_size(data[:length])


def test_no_flipped_bit_in_a_png_passes_unnoticed() -> None:
    data = bytearray(png("rgb24"))
    for position in range(len(data) - 4):
        data[position] ^= 0x10
        try:
            size = png_size(bytes(data))
        except PngError:
            size = None
        assert size is None
        data[position] ^= 0x10


def test_png_with_pixels_that_are_no_deflate_stream() -> None:
    import struct
    import zlib

    body = b"IDAT" + b"\xff" * 10
    data = png("rgb24")
    start, end = data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    broken = data[:start] + struct.pack(">I", 10) + body + struct.pack(">I", zlib.crc32(body)) + data[end:]
    assert png_size(broken) == (64, 64)
    with pytest.raises(InvalidArgumentError, match=r"'1\.png'"):
        decode_png(broken, "'1.png'")

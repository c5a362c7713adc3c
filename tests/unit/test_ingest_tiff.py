"""TIFF frames as programs write them: kept exactly, and refused where they are damaged."""

from __future__ import annotations

import io
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_ingest.decoding import MediaDecoder
from autoisp_ingest.domain import FootageLimits, UploadHeader
from numpy.typing import NDArray

PIXELS = np.random.default_rng(0).integers(0, 1 << 16, (70, 90, 3), np.uint16)
SMOOTH = np.broadcast_to(np.arange(90, dtype=np.uint16)[None, :, None] * 700, (70, 90, 3)).copy()


def tiff(pixels: NDArray[np.uint16], pix_fmt: str, compression: str) -> bytes:
    """As FFmpeg writes it: with resolution units and other tags that have nothing to do with the pixels."""
    encoder = av.CodecContext.create("tiff", "w")
    encoder.height, encoder.width = pixels.shape[:2]
    encoder.pix_fmt, encoder.time_base = pix_fmt, Fraction(1, 25)
    encoder.options = {"compression_algo": compression}
    narrow = pixels if pix_fmt.endswith("48le") else (pixels >> 8).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(narrow, format=pix_fmt)
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


def decoded(tmp_path: Path, files: list[bytes]) -> list[NDArray[np.uint16]]:
    path = tmp_path / "frames"
    with tarfile.open(path, "w") as archive:
        for index, data in enumerate(files):
            info = tarfile.TarInfo(f"{index}.tif")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    header = UploadHeader("frames.tar", path.stat().st_size, "0" * 64)
    with MediaDecoder(FootageLimits()).open(path, header) as footage:
        return [frame.planes[0].copy() for frame in footage.frames]


@pytest.mark.parametrize("compression", ["raw", "packbits", "lzw", "deflate"])
def test_sixteen_bits_are_kept_exactly(tmp_path: Path, compression: str) -> None:
    frames = decoded(tmp_path, [tiff(pixels, "rgb48le", compression) for pixels in (PIXELS, SMOOTH)])
    np.testing.assert_array_equal(frames, [PIXELS, SMOOTH])


@pytest.mark.parametrize("compression", ["raw", "lzw"])
def test_eight_bits_are_kept_exactly(tmp_path: Path, compression: str) -> None:
    frames = decoded(tmp_path, [tiff(PIXELS, "rgb24", compression)] * 2)
    np.testing.assert_array_equal(frames[1], PIXELS >> 8)


@pytest.mark.parametrize("compression", ["packbits", "deflate"])
def test_a_damaged_strip_is_refused(tmp_path: Path, compression: str) -> None:
    good = tiff(SMOOTH, "rgb48le", compression)
    bad = good[:100] + b"\x7f\x00" * 200 + good[500:]
    with pytest.raises(InvalidArgumentError) as caught:
        decoded(tmp_path, [good, bad])
    assert "'1.tif'" in str(caught.value)

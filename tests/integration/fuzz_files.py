"""Small good files of every format that ingest takes, and ways to damage them."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av
import numpy as np
from autoisp_testing.dng import dng_bytes
from autoisp_testing.scenes import moving_scene
from hypothesis import strategies as st
from ingest_calls import tar_of

WIDTH, HEIGHT, FRAMES = 96, 64, 4


def _video(container: str, codec: str, pix_fmt: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        for pixels in moving_scene(FRAMES, HEIGHT, WIDTH):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            output.mux(stream.encode(frame.reformat(format=pix_fmt)))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def _still(codec: str, pix_fmt: str) -> list[bytes]:
    stills = []
    for pixels in moving_scene(FRAMES, HEIGHT, WIDTH):
        encoder = av.CodecContext.create(codec, "w")
        encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, pix_fmt
        encoder.time_base = Fraction(1, 25)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
        stills.append(b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)]))
    return stills


def _tar(suffix: str, files: list[bytes]) -> bytes:
    return tar_of({f"{index:04d}{suffix}": data for index, data in enumerate(files)})


def _mosaic(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(64, 1024, (HEIGHT, WIDTH), np.uint16)


def sidecar(**changes: object) -> bytes:
    """Of a dump of these sizes."""
    keys: dict[str, object] = {"width": WIDTH, "height": HEIGHT, "cfa": "RGGB", "bit_depth": 10}
    keys |= {"packing": "raw10", "black_level": 64, "white_level": 1023, "frame_rate": 30, "frames": FRAMES}
    keys |= {"gains": [2.0, 1.0, 1.5], "noise": {"shot": 0.01, "read": 0.001}}
    return json.dumps(keys | changes).encode()


def _dump() -> bytes:
    frame = np.random.default_rng(0).integers(0, 256, HEIGHT * WIDTH * 5 // 4, np.uint8).tobytes()
    return tar_of({"sidecar.json": sidecar(), "all.raw": frame * FRAMES})


_MAKERS: dict[str, Callable[[], bytes]] = {
    "a.mp4": lambda: _video("mp4", "libx264", "yuv420p"),
    "hevc.mp4": lambda: _video("mp4", "libx265", "yuv420p10le"),
    "a.mov": lambda: _video("mov", "prores_ks", "yuv422p10le"),
    "a.mkv": lambda: _video("matroska", "ffv1", "yuv444p"),
    "a.webm": lambda: _video("webm", "libvpx-vp9", "yuv420p"),
    "a.avi": lambda: _video("avi", "mpeg4", "yuv420p"),
    "a.ts": lambda: _video("mpegts", "mpeg2video", "yuv420p"),
    "a.y4m": lambda: _video("yuv4mpegpipe", "wrapped_avframe", "yuv420p"),
    "png.tar": lambda: _tar(".png", _still("png", "rgb24")),
    "tiff.tar": lambda: _tar(".tif", _still("tiff", "rgb48le")),
    "a.dng": lambda: dng_bytes(_mosaic(), noise_profile=(1e-3, 1e-5)),
    "dng.tar": lambda: _tar(".dng", [dng_bytes(_mosaic(seed)) for seed in range(FRAMES)]),
    "raw.tar": _dump,
}
FORMATS = tuple(_MAKERS)


@cache
def good(name: str) -> bytes:
    """The undamaged file."""
    return _MAKERS[name]()


@dataclass(frozen=True)
class Damage:
    """One change to a file; its ``repr`` is enough to do it again.

    Args:
        kind: a key of ``_CHANGES``.
        place: a byte, counted from the end if negative; it wraps around.
        value: what is written, or how much is left out.
    """

    kind: str
    place: int
    value: int


def damaged(data: bytes, changes: list[Damage]) -> bytes:
    """``data`` after all changes, one after the other; at least one byte of it."""
    for change in changes:
        place = change.place % len(data)
        data = _CHANGES[change.kind](data, place, change.value) or data[:1]
    return data


def _written(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new[: len(data) - place] + data[place + len(new) :]


_CHANGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "cut off": lambda data, place, value: data[:place],
    "flip a bit": lambda data, place, value: _written(data, place, bytes([data[place] ^ 1 << value % 8])),
    "set a byte": lambda data, place, value: _written(data, place, bytes([value % 256])),
    "set a little word": lambda data, place, value: _written(data, place, struct.pack("<I", value)),
    "set a big word": lambda data, place, value: _written(data, place, struct.pack(">I", value)),
    "leave out": lambda data, place, value: data[:place] + data[place + 1 + value % 512 :],
    "repeat": lambda data, place, value: data[: place + 1 + value % 512] + data[place:],
    "zeros": lambda data, place, value: _written(data, place, bytes(1 + value % 512)),
    "append": lambda data, place, value: data + struct.pack("<I", value) * (1 + place % 300),
    "a tag": lambda data, place, value: _retagged(data, place, value),
    "a size": lambda data, place, value: _lied(data, place, value),
}


def _lied(data: bytes, place: int, value: int) -> bytes:
    """Writes another number where a side of the frame stands, in one of the ways formats write it."""
    side = (WIDTH, HEIGHT)[value % 2]
    forms = (
        (struct.pack("<H", side), struct.pack("<H", value & 0xFFFF)),
        (struct.pack(">H", side), struct.pack(">H", value & 0xFFFF)),
        (struct.pack("<I", side), struct.pack("<I", value)),
        (struct.pack(">I", side), struct.pack(">I", value)),
        (b"%d" % side, b"%d" % value),
    )
    old, new = forms[place % len(forms)]
    return data.replace(old, new, 1 + place % 3)


_CODES = (
    258,
    259,
    273,
    277,
    279,
    317,
    330,
    33421,
    33422,
    34665,
    50712,
    50714,
    50717,
    50721,
    50728,
    50778,
    50829,
)


def _retagged(data: bytes, place: int, value: int) -> bytes:
    """Changes the code, the type, the count or the value of one tag of the first TIFF or DNG in ``data``."""
    start = data.find(b"II*\0")
    if start < 0 or start + 8 > len(data):
        return data
    directory = start + struct.unpack_from("<I", data, start + 4)[0]
    if directory + 2 > len(data):
        return data
    entries = struct.unpack_from("<H", data, directory)[0] or 1
    entry = directory + 2 + 12 * (place % entries)
    offset, new = (
        (0, struct.pack("<H", _CODES[value % len(_CODES)])),
        (2, struct.pack("<H", value % 14)),
        (4, struct.pack("<I", value)),
        (8, struct.pack("<I", value)),
    )[place // 64 % 4]
    return _written(data, entry + offset, new)


_PLACES = st.one_of(st.integers(0, 1_500), st.integers(-600, -1), st.integers(0, 1 << 20))
_VALUES = st.one_of(
    st.sampled_from(
        [0, 1, 7, 8, 255, 256, 32_767, 65_535, 65_536, 100_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
    ),
    st.integers(0, 0xFFFFFFFF),
)
damages = st.lists(
    st.builds(Damage, st.sampled_from(sorted(_CHANGES)), _PLACES, _VALUES), min_size=1, max_size=6
)
"""What happens to one file."""

"""The process that reads raw files: ``python -m autoisp_ingest.libraw``, for :class:`RawReader` alone."""

from __future__ import annotations

import ctypes
import io
import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

import rawpy
from rawpy import LibRawError, RawType

from autoisp_ingest.libraw.protocol import FILE_SECONDS, LENGTH_BYTES, UNPACK, RawFacts, RawSizes

_MEMORY_BYTES = 4 << 30
_PR_SET_PDEATHSIG = 1
_FAILED = (LibRawError, MemoryError, ValueError)


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _end_with_the_service()
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no reply
    requests = sys.stdin.buffer
    while length := requests.read(LENGTH_BYTES):
        _limit_time()
        _answer(requests.read(int.from_bytes(length)), requests, replies)


def _end_with_the_service() -> None:
    """Also in the middle of a file on which LibRaw hangs, where nobody notices that the input has ended.

    Linux counts the thread that started this process as its parent; :class:`RawReader` is for one thread.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_time() -> None:
    """Let the next file have its share of processor time, and no more: the kernel ends the process then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + FILE_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _answer(data: bytes, requests: BinaryIO, replies: BinaryIO) -> None:
    with rawpy.RawPy() as raw:
        try:
            raw.open_buffer(io.BytesIO(data))
        except _FAILED as error:
            return _reply(replies, _error(error))
        sizes = raw.sizes
        _reply(replies, asdict(RawSizes(sizes.raw_width, sizes.raw_height, sizes.width, sizes.height)))
        if requests.read(1) != UNPACK:
            return None
        try:
            raw.unpack()
            if raw.raw_type is not RawType.Flat or raw.raw_image_visible is None:
                return _reply(replies, {"error": "it holds no mosaic, but finished or layered pixels"})
            facts, pixels = _facts(raw), raw.raw_image_visible.tobytes()
        except _FAILED as error:
            return _reply(replies, _error(error))
        return _reply(replies, asdict(facts), pixels)


def _facts(raw: rawpy.RawPy) -> RawFacts:
    height, width = raw.raw_image_visible.shape
    pattern = raw.raw_pattern
    colours = raw.color_desc.decode("ascii", "replace")
    red, green, blue = (float(gain) for gain in raw.camera_whitebalance[:3])
    return RawFacts(
        width=width,
        height=height,
        flip=raw.sizes.flip,
        pattern="" if pattern is None else "".join(colours[index] for index in pattern.ravel()),
        black_level=tuple(float(level) for level in raw.black_level_per_channel),
        white_level=float(raw.white_level),
        white_balance=(red, green, blue),
        xyz_to_camera=tuple((float(x), float(y), float(z)) for x, y, z in raw.rgb_xyz_matrix[:3]),
    )


def _error(error: BaseException) -> dict[str, str]:
    if isinstance(error, MemoryError):
        return {"error": "it needs more memory than a picture may"}
    text = error.args[0] if error.args else type(error).__name__
    return {"error": text.decode(errors="replace") if isinstance(text, bytes) else str(text)}


def _reply(replies: BinaryIO, line: dict[str, Any], pixels: bytes = b"") -> None:
    replies.write(json.dumps(line).encode() + b"\n")
    replies.write(pixels)
    replies.flush()


if __name__ == "__main__":
    main()

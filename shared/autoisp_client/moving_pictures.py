"""Frames of video files and webcams, decoded here: with PyAV, which is imported when it is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from autoisp_core.errors import InvalidArgumentError, UnimplementedError
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

_WEBCAMS = {"linux": ("/dev/video{}", "v4l2"), "darwin": ("{}", "avfoundation")}
"""By platform: the address of a webcam, and FFmpeg's name of the way to it."""


def frames_of_file(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Upright RGB frames (H, W, 3) of a video, without an odd last row or column.

    Raises:
        InvalidArgumentError: nothing there, or nothing that decodes.
    """
    return _frames(str(path), None, f"can't read {path} as a video")


def frames_of_webcam(index: int) -> Iterator[NDArray[np.uint8]]:
    """As of a file, for as long as the caller goes on.

    Raises:
        InvalidArgumentError: no such webcam.
        UnimplementedError: on this platform.
    """
    if sys.platform not in _WEBCAMS:
        raise UnimplementedError(
            f"webcams can't be opened by number on {sys.platform}: read it with a library of your own, and "
            "give the frames as an iterable"
        )
    address, way = _WEBCAMS[sys.platform]
    return _frames(address.format(index), way, f"can't open webcam {index}")


def _frames(address: str, way: str | None, problem: str) -> Iterator[NDArray[np.uint8]]:
    import av

    try:
        with av.open(address, format=way) as container:
            if not container.streams.video:
                raise InvalidArgumentError("frames", f"{problem}: it has no pictures")
            for frame in container.decode(video=0):
                yield _upright(frame)
    except (av.FFmpegError, OSError) as error:
        raise InvalidArgumentError("frames", f"{problem}: {error}") from error


def _upright(frame: av.VideoFrame) -> NDArray[np.uint8]:
    picture: NDArray[Any] = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    return np.ascontiguousarray(picture[:height, :width])

"""Video files: the container is checked before anything is decoded, and the end against what it announced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import av.error
from autoisp_core.errors import InvalidArgumentError
from av.container import InputContainer
from av.video.stream import VideoStream

from autoisp_ingest.decoding.frame_times import FrameTimes
from autoisp_ingest.decoding.pictures import PictureReader
from autoisp_ingest.domain import Footage, FootageLimits, StoredFrame, check_enough_frames

# Only these demuxers are tried, and they may open nothing but the file itself: a playlist that calls itself
# .mp4 must not make the server read other files or URLs.
_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,yuv4mpegpipe",
    "protocol_whitelist": "file",
}
# Containers count and time a little differently from decoders (edit lists, rounding), never by this much.
_COUNT_TOLERANCE = 0.03
_TIME_TOLERANCE = 0.1
_FRAMES_SLACK = 2


@contextmanager
def open_video(path: Path, title: str, limits: FootageLimits, threads: int) -> Iterator[Footage]:
    """Open the main video stream of a file; see :meth:`autoisp_ingest.usecases.FootageDecoder.open`."""
    with _open(path, title) as container:
        stream = container.streams.best("video")  # not a cover picture
        if stream is None:
            raise InvalidArgumentError(
                "chunk",
                f"{title!r} has no video stream, or is cut off; send a whole file with moving pictures",
                reason="NO_VIDEO",
            )
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        if context is None:
            raise InvalidArgumentError(
                "chunk",
                f"the codec of {title!r} is unknown here; convert it, for example: ffmpeg -i IN OUT.mp4",
                reason="UNSUPPORTED_CODEC",
            )
        width, height = context.width, context.height
        if not width or not height:
            raise _unreadable(title, "it names no frame size")
        # Before anything is decoded, since decoding allocates what the head says.
        limits.check_size(title, width, height)
        limits.check_count(title, stream.frames)
        if stream.frames == 1:
            check_enough_frames(title, stream.frames)
        context.thread_type = "AUTO"
        context.thread_count = threads
        yield _footage(container, stream, title, limits)


@contextmanager
def _open(path: Path, title: str) -> Iterator[InputContainer]:
    try:
        container = av.open(str(path), options=_OPTIONS, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise _unreadable(title, _reason(error)) from error
    with container:
        yield container


def _footage(container: InputContainer, stream: VideoStream, title: str, limits: FootageLimits) -> Footage:
    pictures = _pictures(container, stream, title, limits)
    first = next(pictures, None)
    if first is None:
        check_enough_frames(title, 0)
    assert first is not None
    read = PictureReader(title, first)
    limits.check_length(title, read.format, stream.frames)
    rate = stream.average_rate or stream.guessed_rate or Fraction(0)
    times = FrameTimes(title, rate, stream.time_base)

    def frames() -> Iterator[StoredFrame]:
        for count, picture in enumerate(chain((first,), pictures), start=1):
            limits.check_length(title, read.format, count)
            yield StoredFrame(read(picture, f"frame {count}"), times(picture))

    codec = stream.codec_context.name
    return Footage(read.format, float(rate), codec, frames(), time_step_ns=times.step_ns)


def _pictures(
    container: InputContainer, stream: VideoStream, title: str, limits: FootageLimits
) -> Iterator[av.VideoFrame]:
    """All pictures of the stream, or an error that says where it breaks off."""
    count, end = 0, 0
    try:
        # All streams, since a cut may show in a packet of sound.
        for packet in container.demux():
            if packet.is_corrupt:
                raise _cut_off(title, f"after {count} frames")
            if packet.stream_index != stream.index:
                continue
            for picture in packet.decode():
                assert isinstance(picture, av.VideoFrame)
                count += 1
                limits.check_count(title, count)
                if picture.pts is not None:
                    end = max(end, picture.pts)
                yield picture
    except av.error.FFmpegError as error:
        raise _cut_off(title, f"after {count} frames ({_reason(error)})") from error
    _check_complete(container, stream, title, count, float(end * (stream.time_base or 0)))


def _check_complete(
    container: InputContainer, stream: VideoStream, title: str, count: int, end_s: float
) -> None:
    """Some containers just end when they are cut off: compare with what their head announced."""
    if count < stream.frames * (1 - _COUNT_TOLERANCE) - 1:
        raise _cut_off(title, f"after {count} of {stream.frames} frames")
    if stream.duration is not None and stream.time_base is not None:
        announced_s = float(stream.duration * stream.time_base)
    elif len(container.streams) == 1 and container.duration is not None:
        announced_s = container.duration / av.time_base
    else:
        return  # sound may go on after the pictures
    start_s = float((stream.start_time or 0) * (stream.time_base or 0))
    slack_s = float(_FRAMES_SLACK / stream.average_rate) if stream.average_rate else 0.5
    if end_s - start_s < announced_s * (1 - _TIME_TOLERANCE) - slack_s:
        raise _cut_off(title, f"after {end_s - start_s:.2f} of {announced_s:.2f} seconds")


def _reason(error: av.error.FFmpegError) -> str:
    # The log is (level, component, text), whatever PyAV's type stub says.
    log = cast(tuple[object, ...], error.log or ())
    detail = str(log[-1]).strip() if log else ""
    return detail or error.strerror or type(error).__name__


def _unreadable(title: str, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{title!r} is no video that can be read, or it is cut off: {why}; check that it plays, copy it "
        "again, or convert it with: ffmpeg -i IN OUT.mp4",
        reason="UNREADABLE_FOOTAGE",
    )


def _cut_off(title: str, where: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{title!r} is damaged or cut off {where}; copy the file again, or repair it with: "
        "ffmpeg -i IN OUT.mp4",
        reason="DAMAGED_FOOTAGE",
    )

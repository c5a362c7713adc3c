"""What is sent: each frame with its truth and its metadata, wherever frames come from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.errors import InvalidArgumentError

from autoisp_client.live import Frame
from autoisp_client.moving_pictures import frames_of_file, frames_of_webcam

Metadata: TypeAlias = evaluation_pb2.StreamMetadata
Shot: TypeAlias = tuple[Frame, Frame | None, Metadata | None]


def shots(
    frames: Any, truth: Iterable[Frame] | None, metadata: Iterable[Metadata | None] | None
) -> Iterator[Shot]:
    """From what :meth:`autoisp_client.Client.evaluate_stream` takes; opens files and webcams at the first."""
    opened = _opened(frames)
    truths, told = _iterator(truth), _iterator(metadata)
    index = -1
    for index, frame in enumerate(frames if opened is None else opened):
        yield (
            frame,
            _next(truths, "truth", index) if truths else None,
            _next(told, "metadata", index) if told else None,
        )
    _check_any(index + 1)


async def shots_async(
    frames: Any,
    truth: Iterable[Frame] | AsyncIterable[Frame] | None,
    metadata: Iterable[Metadata | None] | None,
) -> AsyncGenerator[Shot, None]:
    """As :func:`shots`; files and webcams are read in a thread."""
    opened = _opened(frames)
    truths = None if truth is None else _each(truth)
    told = _iterator(metadata)
    index = 0
    async for frame in _each(frames) if opened is None else _in_thread(opened):
        true = None
        if truths is not None:
            true = await anext(truths, None)
            _check(true, "truth", index)
        yield frame, true, _next(told, "metadata", index) if told else None
        index += 1
    _check_any(index)


def _opened(frames: Any) -> Iterator[Frame] | None:
    """Frames of a file or a webcam; None for what can be iterated as it is."""
    if isinstance(frames, (str, Path)):
        return frames_of_file(Path(frames))
    return frames_of_webcam(frames) if isinstance(frames, int) else None


def _iterator(values: Iterable[Any] | None) -> Iterator[Any] | None:
    return None if values is None else iter(values)


def _next(values: Iterator[Any], field: str, index: int) -> Any:
    try:
        return next(values)
    except StopIteration:
        raise _too_few(field, index) from None


def _check(value: Any, field: str, index: int) -> None:
    if value is None:
        raise _too_few(field, index)


def _check_any(count: int) -> None:
    if not count:
        raise InvalidArgumentError("frames", "there are no frames; give at least one")


def _too_few(field: str, index: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        field, f"there are more frames than {field}: frame {index} has none; give one for each"
    )


async def _each(values: Iterable[Frame] | AsyncIterable[Frame]) -> AsyncIterator[Frame]:
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
        return
    for value in values:
        yield value


async def _in_thread(frames: Iterator[Frame]) -> AsyncIterator[Frame]:
    end = object()
    while (frame := await asyncio.to_thread(next, frames, end)) is not end:
        yield frame

"""The two calls of IngestFrames: blocking, and for asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import grpc
from autoisp.ingest.v1 import ingest_pb2

from autoisp_client.faults import cut_short
from autoisp_client.live import Frame, LiveOptions, LiveStream, Window

Call = Callable[[Any], Any]


def send_frames(call: Call, frames: Iterable[Frame], options: LiveOptions) -> ingest_pb2.Clip:
    """Send all frames and return the clip.

    Raises:
        grpc.RpcError: the call failed.
        Exception: whatever ``frames`` raise; then there is no clip.
    """
    stream = LiveStream(options)
    window, changed = Window(stream, options.on_stored), threading.Condition()
    failures: list[BaseException] = []
    ended = False

    def messages() -> Iterator[ingest_pb2.IngestFramesRequest]:
        try:
            for frame in frames:
                for message in stream.messages(frame):
                    with changed:
                        changed.wait_for(lambda: ended or window.is_open)
                    if ended:
                        return
                    window.send(message)
                    yield message
        except GeneratorExit:
            raise
        except BaseException as error:
            failures.append(error)
            raise

    responses = call(messages())
    try:
        for response in responses:
            with changed:
                window.hear(response)
                changed.notify_all()
    except grpc.RpcError:
        if failures:
            raise failures[0] from None
        raise
    finally:
        with changed:
            ended = True
            changed.notify_all()
        responses.cancel()
    if window.clip is None:
        raise cut_short("ingest", "the server")
    return window.clip


async def send_frames_async(
    call: Call, frames: Iterable[Frame] | AsyncIterable[Frame], options: LiveOptions
) -> ingest_pb2.Clip:
    """As :func:`send_frames`, for asyncio."""
    stream = LiveStream(options)
    window, changed = Window(stream, options.on_stored), asyncio.Condition()
    failures: list[BaseException] = []

    async def messages() -> AsyncIterator[ingest_pb2.IngestFramesRequest]:
        try:
            async for frame in _each(frames):
                for message in stream.messages(frame):
                    async with changed:
                        await changed.wait_for(lambda: window.is_open)
                    window.send(message)
                    yield message
        except Exception as error:
            failures.append(error)
            raise

    responses = call(messages())
    try:
        async for response in responses:
            async with changed:
                window.hear(response)
                changed.notify_all()
    except (grpc.RpcError, asyncio.CancelledError):
        if failures:
            raise failures[0] from None
        raise
    finally:
        responses.cancel()
    if window.clip is None:
        raise cut_short("ingest", "the server")
    return window.clip


async def _each(frames: Iterable[Frame] | AsyncIterable[Frame]) -> AsyncIterator[Frame]:
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield frame
        return
    for frame in frames:
        yield frame

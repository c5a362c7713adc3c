"""The two calls of EvaluateStream: blocking, and for asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from typing import Any

import grpc
from autoisp.evaluation.v1 import evaluation_pb2

from autoisp_client.evaluated import EvaluatedFrame, Message, StreamMessages, StreamOptions, StreamWindow
from autoisp_client.evaluation_input import Shot
from autoisp_client.faults import cut_short, explain

Call = Callable[..., Any]
OnSummary = Callable[[evaluation_pb2.StreamSummary], None] | None

_SERVICE = "live evaluation"
_ENDED = (grpc.RpcError, asyncio.InvalidStateError)
"""How a write fails once the call has ended; whoever reads hears why it did."""


def evaluate_frames(
    call: Call, shots: Iterator[Shot], options: StreamOptions, address: str, on_summary: OnSummary
) -> Iterator[EvaluatedFrame]:
    """Send frames in gRPC's thread, and give what comes back.

    Raises:
        AutoISPError: the call failed.
        Exception: whatever ``shots`` raise.
    """
    stream = StreamMessages(options)
    window, changed = StreamWindow(stream, options.pictures), threading.Condition()
    failures: list[BaseException] = []
    ended = False

    def messages() -> Iterator[Message]:
        try:
            for shot in shots:
                for message in stream.of(*shot):
                    with changed:
                        changed.wait_for(lambda: ended or window.is_open(message))  # noqa: B023 - waits here
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
                frame = window.hear(response)
                changed.notify_all()
            if frame is not None:
                yield frame
    except grpc.RpcError as error:
        if failures:
            raise failures[0] from None
        raise explain(error, _SERVICE, address) from error
    finally:
        with changed:
            ended = True
            changed.notify_all()
        responses.cancel()
    _end(window, address, on_summary)


async def evaluate_frames_async(
    call: Call, shots: AsyncGenerator[Shot, None], options: StreamOptions, address: str, on_summary: OnSummary
) -> AsyncIterator[EvaluatedFrame]:
    """As :func:`evaluate_frames`, for asyncio; however the call ends, ``shots`` are closed with it."""
    stream = StreamMessages(options)
    window, changed = StreamWindow(stream, options.pictures), asyncio.Condition()
    failures: list[BaseException] = []
    responses = call()

    async def send() -> None:
        async with aclosing(shots):
            async for shot in shots:
                for message in stream.of(*shot):
                    async with changed:
                        await changed.wait_for(lambda: window.is_open(message))  # noqa: B023 - waits here
                    window.send(message)
                    with suppress(*_ENDED):
                        await responses.write(message)
        with suppress(*_ENDED):
            await responses.done_writing()

    async def send_or_fail() -> None:
        try:
            await send()
        except Exception as error:
            failures.append(error)
            responses.cancel()

    # Not an iterator that gRPC reads: it stays where it is when the server ends the call.
    sending = asyncio.create_task(send_or_fail())
    try:
        async for response in responses:
            async with changed:
                frame = window.hear(response)
                changed.notify_all()
            if frame is not None:
                yield frame
    except (grpc.RpcError, asyncio.CancelledError) as error:
        if failures:
            raise failures[0] from None
        if isinstance(error, grpc.RpcError):
            raise explain(error, _SERVICE, address) from error
        raise
    finally:
        sending.cancel()
        responses.cancel()
        await asyncio.wait({sending})
    _end(window, address, on_summary)


def _end(window: StreamWindow, address: str, on_summary: OnSummary) -> None:
    if window.summary is None:
        raise cut_short(_SERVICE, address)
    if on_summary is not None:
        on_summary(window.summary)

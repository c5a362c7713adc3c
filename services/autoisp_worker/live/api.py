"""The gRPC servicer: decode, call the use case, encode. Errors are translated by the server's interceptor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from autoisp_core.errors import AutoISPError, DeadlineExceededError

from autoisp_worker.live.domain import FrameAnswer, Summary
from autoisp_worker.live.usecases import EvaluateStream
from autoisp_worker.live.wire import (
    decode_header,
    encode_picture,
    encode_ready,
    encode_result,
    encode_summary,
    open_stream,
)

_SETTLE_S = 2.0


class LiveEvaluationServicer(evaluation_pb2_grpc.LiveEvaluationServiceServicer):
    """``autoisp.evaluation.v1.LiveEvaluationService``."""

    def __init__(self, evaluate: EvaluateStream) -> None:
        self._evaluate = evaluate

    # Written and not yielded, which the stubs don't know: answers go out while frames come in.
    async def EvaluateStream(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[evaluation_pb2.EvaluateStreamRequest], context: Any
    ) -> None:
        patience_s = self._evaluate.limits.pace.window_seconds
        answers = _Answers(context, patience_s)
        try:
            message, parts = await open_stream(request_iterator, patience_s)
            await self._evaluate(decode_header(message), parts, answers)
        except AutoISPError:
            # A status can't overtake a message that is on its way.
            await answers.settle()
            raise


class _Answers:
    """Writes answers, one message at a time, and none for ever.

    A message whose writing is cancelled keeps its place in gRPC, which takes no other after it. So writing is
    waited for, and not cancelled.
    """

    def __init__(self, context: Any, patience_s: float) -> None:
        self._context = context
        self._patience_s = patience_s
        self._writing: asyncio.Future[None] | None = None

    async def ready(self, window_frames: int) -> None:
        await self._write(encode_ready(window_frames))

    async def frame(self, answer: FrameAnswer, latency_seconds: float) -> None:
        if answer.picture is not None:
            for part in encode_picture(answer.index, answer.picture):
                await self._write(part)
        await self._write(encode_result(answer, latency_seconds))

    async def summary(self, summary: Summary) -> None:
        await self._write(encode_summary(summary))

    async def settle(self) -> None:
        """Wait a little for what is on its way."""
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=_SETTLE_S)

    async def _write(self, message: evaluation_pb2.EvaluateStreamResponse) -> None:
        writing = self._writing = asyncio.ensure_future(self._context.write(message))
        # Nobody hears of it once the call has ended.
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        if not (await asyncio.wait({writing}, timeout=self._patience_s))[0]:
            raise DeadlineExceededError(
                f"an answer has not been read for {self._patience_s:g} seconds; read answers while frames "
                "are sent, or have the server's AUTOISP_STREAM_WINDOW_SECONDS raised",
                reason="RECEIVER_TOO_SLOW",
            )
        writing.result()
        self._writing = None

"""Live evaluation of any number of streams, each without a thought of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Executor

from autoisp_core.errors import ResourceExhaustedError
from autoisp_runtime.run_to_end import outlast

from autoisp_worker.live.domain import FramePart, StreamHeader, StreamLimits
from autoisp_worker.live.ports import Answers, Judge, OpenJudge
from autoisp_worker.live.session import Session


class EvaluateStream:
    """Develops and judges frames while they come.

    Args:
        open_judge: makes what does the work.
        executor: where it is done; needs two threads per stream.
        limits: what this server bears.
    """

    def __init__(self, open_judge: OpenJudge, executor: Executor, limits: StreamLimits) -> None:
        self._open_judge = open_judge
        self._executor = executor
        self.limits = limits
        self._running = 0
        self._stopping = asyncio.Event()

    async def __call__(self, header: StreamHeader, parts: AsyncIterator[FramePart], answers: Answers) -> None:
        """Answer the frames that ``parts`` make up, to the end of the stream.

        Raises:
            InvalidArgumentError: the header or a part is not what it must be.
            NotFoundError: there is no such subject.
            ResourceExhaustedError: too many streams.
            DeadlineExceededError: the client sends or reads too slowly, or the subject takes too long.
            UnavailableError: this server stops.
            AutoISPError: the subject failed.
        """
        header.check(self.limits)
        if self._running >= self.limits.streams:
            raise ResourceExhaustedError(
                f"{self._running} streams are evaluated already, and no more may at a time; try again when "
                "one is through, or have the server's AUTOISP_EVALUATION_STREAMS raised",
                reason="TOO_MANY_STREAMS",
            )
        self._running += 1
        try:
            given_up = threading.Event()
            judge = await self._open(header, given_up)
            try:
                session = Session(header, judge, answers, self.limits, self._executor, given_up)
                await session.run(parts, self._stopping)
            finally:
                await outlast(asyncio.get_running_loop().run_in_executor(self._executor, judge.close))
        finally:
            self._running -= 1

    def stop(self, after_seconds: float) -> None:
        """End all streams after a while; what they have sent by then may still be answered."""
        asyncio.get_running_loop().call_later(after_seconds, self._stopping.set)

    async def _open(self, header: StreamHeader, given_up: threading.Event) -> Judge:
        loop = asyncio.get_running_loop()
        opening = loop.run_in_executor(self._executor, self._open_judge, header, given_up.is_set)
        try:
            return await outlast(opening, given_up.set)
        except asyncio.CancelledError:
            if opening.done() and opening.exception() is None:
                opening.result().close()
            raise

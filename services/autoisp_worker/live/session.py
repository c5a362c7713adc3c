"""One stream: four stages that work at the same time, each on its frames in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import Any

from autoisp_core.errors import UnavailableError
from autoisp_runtime.pace import keep_pace
from autoisp_runtime.run_to_end import run_to_end

from autoisp_worker.live.domain import (
    FrameAnswer,
    FrameAssembly,
    FramePart,
    LiveFrame,
    StreamHeader,
    StreamLimits,
    Tally,
)
from autoisp_worker.live.ports import Answers, Judge


class Session:
    """Reads, develops, measures and answers frames.

    A frame takes one of the window's places before its first byte is read, and gives it back once its answer
    is on its way. What a client sends beyond that is not read, so that the transport's flow control holds it
    back. Between developing and measuring one frame may wait, since there it is largest.
    """

    def __init__(
        self,
        header: StreamHeader,
        judge: Judge,
        answers: Answers,
        limits: StreamLimits,
        executor: Executor,
        given_up: threading.Event,
    ) -> None:
        self._header = header
        self._judge = judge
        self._answers = answers
        self._pace = limits.pace
        self._executor = executor
        self._given_up = given_up
        self._window = limits.window(header.frame_bytes)
        self._places = asyncio.Semaphore(self._window)
        self._unanswered = 0
        self._frames: asyncio.Queue[LiveFrame | None] = asyncio.Queue()
        self._developed: asyncio.Queue[Any] = asyncio.Queue(1)
        self._answered: asyncio.Queue[FrameAnswer | None] = asyncio.Queue()

    async def run(self, parts: AsyncIterator[FramePart], stopping: asyncio.Event) -> None:
        """To the end of ``parts``, or until ``stopping``; raises as the use case."""
        await self._answers.ready(self._window)
        stages = [
            asyncio.create_task(stage)
            for stage in (self._read(parts), self._develop(), self._measure(), self._answer())
        ]
        stop = asyncio.create_task(_until(stopping))
        waited = set(stages)
        try:
            while waited:
                done, _ = await asyncio.wait({*waited, stop}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # the first that fails says why
                waited -= done
        finally:
            for task in (stop, *stages):
                task.cancel()
            # Until the threads are through, even if cancelled again: what they work with is closed next.
            await asyncio.gather(stop, *stages, return_exceptions=True)

    async def _read(self, parts: AsyncIterator[FramePart]) -> None:
        assembly = FrameAssembly(self._header)

        def owed() -> bool:
            return assembly.begun or not self._unanswered

        await self._places.acquire()
        async for part in keep_pace(parts, self._pace, size=lambda part: len(part.data), owed=owed):
            frame = assembly.add(part)
            if frame is not None:
                self._unanswered += 1
                self._frames.put_nowait(frame)
                await self._places.acquire()
        assembly.finish()
        self._frames.put_nowait(None)

    async def _develop(self) -> None:
        while (frame := await self._frames.get()) is not None:
            developed = await self._off_loop(self._judge.develop, frame)
            await self._developed.put(developed)
        await self._developed.put(None)

    async def _measure(self) -> None:
        while (developed := await self._developed.get()) is not None:
            self._answered.put_nowait(await self._off_loop(self._judge.measure, developed))
        self._answered.put_nowait(None)

    async def _answer(self) -> None:
        tally = Tally()
        while (answer := await self._answered.get()) is not None:
            latency = time.monotonic() - answer.complete_at
            await self._answers.frame(answer, latency)
            tally.add(answer.metrics, latency)
            self._unanswered -= 1
            self._places.release()
        await self._answers.summary(tally.summary(await self._off_loop(self._judge.finish)))

    async def _off_loop(self, work: Any, *arguments: object) -> Any:
        return await run_to_end(work, *arguments, on_cancel=self._given_up.set, executor=self._executor)


async def _until(stopping: asyncio.Event) -> None:
    await stopping.wait()
    raise UnavailableError(
        "this server stops; begin a new stream, which another one or the next takes", reason="STOPPING"
    )

"""The stages of a live stream: in order, within the window, and at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, ResourceExhaustedError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_runtime.pace import Pace
from autoisp_worker.live.domain import FrameAnswer, FramePart, LiveFrame, StreamHeader, StreamLimits, Summary
from autoisp_worker.live.usecases import EvaluateStream

HEADER = StreamHeader(FrameFormat(FrameKind.RGB, 8, 32, 32), None, None, False, ("blur",), False, 0)
FRAME = bytes(32 * 32 * 3)
LIMITS = StreamLimits(streams=1, side=64, window_frames=3, window_bytes=1 << 20, pace=Pace(1, 30))


class Judge:
    """Takes its time; counts what it does at the same time."""

    def __init__(self, seconds: float = 0.0, fails_at: int = -1) -> None:
        self._seconds, self._fails_at = seconds, fails_at
        self.developing = self.measuring = 0
        self.together = False
        self.closed = self.given_up = False

    def __call__(self, header: StreamHeader, given_up: Callable[[], bool]) -> Judge:
        self._given_up = given_up
        return self

    def develop(self, frame: LiveFrame) -> LiveFrame:
        self.developing += 1
        time.sleep(self._seconds)
        self.together |= self.measuring > 0
        self.developing -= 1
        if frame.index == self._fails_at:
            raise FailedPreconditionError("it crashed", reason="MODEL_CRASHED")
        return frame

    def measure(self, frame: LiveFrame) -> FrameAnswer:
        self.measuring += 1
        time.sleep(self._seconds)
        self.measuring -= 1
        return FrameAnswer(frame.index, {"blur": float(frame.index)}, None, 0.1, frame.complete_at)

    def finish(self) -> dict[str, float]:
        return {"vmaf": 90.0}

    def close(self) -> None:
        assert self.developing == self.measuring == 0, "closed while it works"
        self.closed, self.given_up = True, self._given_up()


class Answers:
    """Notes them; waits before each frame's until it may go on."""

    def __init__(self) -> None:
        self.window = 0
        self.frames: list[int] = []
        self.total: Summary | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def ready(self, window_frames: int) -> None:
        self.window = window_frames

    async def frame(self, answer: FrameAnswer, latency_seconds: float) -> None:
        await self.go_on.wait()
        self.frames.append(answer.index)

    async def summary(self, summary: Summary) -> None:
        self.total = summary


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def frames(count: int, taken: list[int] | None = None) -> AsyncIterator[FramePart]:
    for index in range(count):
        if taken is not None:
            taken.append(index)
        yield FramePart(index, False, 0, FRAME)


async def test_frames_are_answered_in_order_and_stages_overlap(threads: ThreadPoolExecutor) -> None:
    judge, answers = Judge(0.02), Answers()
    await EvaluateStream(judge, threads, LIMITS)(HEADER, frames(8), answers)
    assert answers.window == 3
    assert answers.frames == list(range(8))
    assert judge.together
    assert (judge.closed, judge.given_up) == (True, False)
    total: Any = answers.total
    assert (total.frames, total.metrics) == (8, {"blur": 3.5, "vmaf": 90.0})
    assert 0.03 < total.p50 <= total.p95 <= total.p99 < 5


async def test_no_more_frames_are_read_than_the_window_has(threads: ThreadPoolExecutor) -> None:
    answers, taken = Answers(), list[int]()
    answers.go_on.clear()
    call = asyncio.create_task(EvaluateStream(Judge(), threads, LIMITS)(HEADER, frames(9, taken), answers))
    await asyncio.sleep(0.3)
    assert taken == [0, 1, 2]
    answers.go_on.set()
    await call
    assert answers.frames == list(range(9))


async def test_a_failure_ends_the_stream_once_all_is_quiet(threads: ThreadPoolExecutor) -> None:
    judge, answers = Judge(0.01, fails_at=3), Answers()
    evaluate = EvaluateStream(judge, threads, LIMITS)
    with pytest.raises(FailedPreconditionError):
        await evaluate(HEADER, frames(8), answers)
    assert judge.closed
    assert answers.frames == list(range(len(answers.frames)))
    assert answers.total is None
    await evaluate(HEADER, frames(1), Answers())  # the place is free


@pytest.mark.parametrize("times", [1, 3])
async def test_a_call_that_is_cancelled_gives_up_its_work(threads: ThreadPoolExecutor, times: int) -> None:
    judge, begun = Judge(0.3), threading.Event()
    develop = judge.develop

    def told(frame: LiveFrame) -> LiveFrame:
        begun.set()
        return develop(frame)

    judge.develop = told  # type: ignore[method-assign]
    call = asyncio.create_task(EvaluateStream(judge, threads, LIMITS)(HEADER, frames(3), Answers()))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(times):
        call.cancel()
        await asyncio.sleep(0.02)
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (judge.closed, judge.given_up) == (True, True)


async def test_streams_are_counted_and_headers_checked(threads: ThreadPoolExecutor) -> None:
    evaluate, answers = EvaluateStream(Judge(), threads, LIMITS), Answers()
    answers.go_on.clear()
    call = asyncio.create_task(evaluate(HEADER, frames(1), answers))
    await asyncio.sleep(0.1)
    with pytest.raises(ResourceExhaustedError, match="AUTOISP_EVALUATION_STREAMS"):
        await evaluate(HEADER, frames(1), Answers())
    answers.go_on.set()
    await call
    large = StreamHeader(FrameFormat(FrameKind.RGB, 8, 66, 32), None, None, False, ("blur",), False, 0)
    with pytest.raises(InvalidArgumentError, match="at most 64"):
        await evaluate(large, frames(1), Answers())


def test_large_frames_have_a_small_window() -> None:
    assert LIMITS.window(1) == 3
    assert LIMITS.window(600 << 10) == 1
    assert LIMITS.window(5 << 20) == 1

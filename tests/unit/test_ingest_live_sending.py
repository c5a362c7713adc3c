"""What a live camera's sender is told, and that nothing is cut off while it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_ingest.domain import FootageLimits, FramePart, LiveHeader
from autoisp_ingest.usecases import IngestFrames, LiveLimits

HEADER = LiveHeader(FrameFormat(FrameKind.RGB, 8, 64, 64), 30.0)
FRAME = bytes(64 * 64 * 3)


class Frames:
    """Stores at once."""

    def __init__(self) -> None:
        self.stored = 0
        self.taken = threading.Event()

    @contextmanager
    def writer(self, uri: str, frame_format: FrameFormat, sensor: Any) -> Iterator[Frames]:
        yield self

    def gathered_bytes(self, frame_format: FrameFormat) -> int:
        return 0

    def append(self, planes: Sequence[Any], time_ns: int) -> None:
        self.stored += 1


class NewClips:
    """Gives back the clip that it is asked to add."""

    @asynccontextmanager
    async def begin(self, folder: str) -> AsyncIterator[Any]:
        async def add(clip: Any) -> Any:
            return clip

        yield SimpleNamespace(uri="clips/live/1", add=add)


class Sending:
    """As the transport: one message at a time, and each takes until :attr:`go_on`."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.cut_off = False
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, stored: int) -> None:
        if stored:
            self.under_way.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cut_off = True
                raise
        self.told.append(stored)


@pytest.fixture
def ingest() -> Iterator[IngestFrames]:
    with ThreadPoolExecutor(1) as threads:
        limits: Any = LiveLimits(FootageLimits(), 1, 1 << 20)
        yield IngestFrames(Frames(), NewClips(), threads, limits)  # type: ignore[arg-type]


async def camera(sending: Sending, *, good: bool) -> AsyncIterator[FramePart]:
    for number in range(3):
        yield FramePart(number, number, 0, FRAME)
    await sending.under_way.wait()
    if not good:
        yield FramePart(7, 7, 0, FRAME)


@pytest.mark.parametrize("good", [True, False])
async def test_the_end_waits_for_what_is_being_sent(ingest: IngestFrames, good: bool) -> None:
    sending = Sending()
    call = asyncio.create_task(ingest(HEADER, camera(sending, good=good), sending))
    await sending.under_way.wait()
    await asyncio.sleep(0.1)
    assert not call.done()
    sending.go_on.set()
    if good:
        assert (await call).frame_count == 3
    else:
        with pytest.raises(InvalidArgumentError):
            await call
    assert not sending.cut_off
    assert sending.told[0] == 0
    assert len(sending.told) == 2


async def test_a_call_that_is_cancelled_waits_for_no_message(ingest: IngestFrames) -> None:
    sending = Sending()
    call = asyncio.create_task(ingest(HEADER, camera(sending, good=True), sending))
    await sending.under_way.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(call, 5)
    assert sending.cut_off

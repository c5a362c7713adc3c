"""What the use case needs of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from autoisp_worker.live.domain import FrameAnswer, LiveFrame, StreamHeader, Summary


class Judge(Protocol):
    """Develops and measures the frames of one stream, in order.

    All methods block. :meth:`develop` of a frame may run while :meth:`measure` is at the one before.
    """

    def develop(self, frame: LiveFrame) -> Any:
        """The frame as :meth:`measure` takes it.

        Raises:
            AutoISPError: the subject can't develop it.
        """

    def measure(self, developed: Any) -> FrameAnswer:
        """What to answer."""

    def finish(self) -> dict[str, float]:
        """Means of those metrics that only a stream's end brings."""

    def close(self) -> None:
        """Frees everything; once nothing else runs any more."""


class OpenJudge(Protocol):
    """Makes the judge of a stream; blocks."""

    def __call__(self, header: StreamHeader, given_up: Callable[[], bool]) -> Judge:
        """For a checked header.

        Args:
            given_up: whether nobody wants the work any more: then whatever takes long ends soon.

        Raises:
            AutoISPError: the subject can't be had, or is none.
        """


class Answers(Protocol):
    """The way back to the client."""

    async def ready(self, window_frames: int) -> None:
        """The stream may begin."""

    async def frame(self, answer: FrameAnswer, latency_seconds: float) -> None:
        """A frame's picture, if it has one, and its result.

        Raises:
            DeadlineExceededError: the client does not read.
        """

    async def summary(self, summary: Summary) -> None:
        """The end."""

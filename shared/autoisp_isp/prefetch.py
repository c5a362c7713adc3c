"""Batches made ahead by a thread, while the device computes."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")

AHEAD = 8
"""Enough to go on while the clean patches of some dozen steps are made at once."""


class Prefetcher(Generic[T]):
    """Calls a function of the step for the steps to come, one after the other, in one thread.

    Args:
        make: gives what belongs to a step; depends on nothing else.
        step: the first that will be asked for.
        ahead: so many steps are made before they are asked for.
    """

    def __init__(self, make: Callable[[int], T], step: int, ahead: int = AHEAD) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: deque[Future[T]] = deque()
        self._next = step
        for _ in range(ahead):
            self._order()

    def __call__(self, step: int) -> T:
        """What belongs to `step`; steps are asked for in order.

        Raises:
            Whatever the function raised for it.
        """
        coming = self._coming.popleft()
        assert step == self._next - len(self._coming) - 1
        self._order()
        return coming.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drops what nobody asked for and ends the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _order(self) -> None:
        self._coming.append(self._thread.submit(self._make, self._next))
        self._next += 1

"""How often, and with how many streams at once, one caller may call."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autoisp_core.errors import ResourceExhaustedError

from autoisp_runtime.grpc_errors import RETRY_AFTER

_REMEMBERED = 10_000
"""Callers; whoever called longest ago is forgotten first, and then has a full burst again."""


class RateLimit:
    """A token bucket for each caller.

    Args:
        per_second: calls that a caller may make for ever.
        burst: calls that it may make at once.
        clock: monotonic seconds.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, float(max(burst, 1)), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """One call.

        Raises:
            ResourceExhaustedError: reason ``RATE_LIMITED``; its metadata says when there is room again.
        """
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        allowed = left >= 1
        self._buckets[caller] = (left - 1 if allowed else left, now)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = (1 - left) / self._per_second
            raise ResourceExhaustedError(
                f"more than {self._per_second:g} calls a second; call again in {wait:.2f} s, "
                "or have the server's AUTOISP_RATE_LIMIT raised",
                reason="RATE_LIMITED",
                metadata={RETRY_AFTER: f"{wait:.3f}"},
            )


class StreamLimit:
    """Streams that one caller may have open.

    Args:
        most: at the same time.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    @contextmanager
    def held(self, caller: str) -> Iterator[None]:
        """One stream while the block runs.

        Raises:
            ResourceExhaustedError: reason ``TOO_MANY_STREAMS``.
        """
        if self._open[caller] >= self._most:
            raise ResourceExhaustedError(
                f"{self._most} streams are open already; end one first, "
                "or have the server's AUTOISP_STREAM_LIMIT raised",
                reason="TOO_MANY_STREAMS",
            )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]

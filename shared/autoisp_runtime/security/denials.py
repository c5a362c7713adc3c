"""The log of what was refused: every kind of refusal at once, and floods as numbers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import structlog

_log = structlog.get_logger(__name__)

_WINDOW_S = 10.0
_KINDS = 100
"""Kinds of refusals told apart in one window; all others are one more."""


@dataclass(frozen=True)
class Denial:
    """One kind of refused calls.

    Attributes:
        who: the proven name; empty if there is none.
        peer: the address that was called from.
        method: ``/package.Service/Method``.
        reason: of the error.
    """

    who: str
    peer: str
    method: str
    reason: str


_OTHERS = Denial("", "", "", "OTHERS")


class DenialLog:
    """Logs denials: the first of a kind as it happens, its repetitions as one line every ten seconds.

    However many come, ``denied`` lines are at most some twenty a second.
    """

    def __init__(self, window_s: float = _WINDOW_S) -> None:
        self._window_s = window_s
        self._repeated: Counter[Denial] = Counter()
        self._ends: asyncio.TimerHandle | None = None
        self.total = 0
        """Denials since the start."""

    def add(self, denial: Denial) -> None:
        """Log it, now or counted."""
        self.total += 1
        if denial in self._repeated:
            self._repeated[denial] += 1
            return
        if len(self._repeated) >= _KINDS:
            self._repeated[_OTHERS] += 1
            return
        self._repeated[denial] = 0
        self._say(denial, 1)
        if self._ends is None:
            self._ends = asyncio.get_running_loop().call_later(self._window_s, self._end_window)

    def _end_window(self) -> None:
        self._ends = None
        repeated, self._repeated = self._repeated, Counter()
        for denial, count in repeated.items():
            if count:
                self._say(denial, count)

    def _say(self, denial: Denial, count: int) -> None:
        _log.warning(
            "denied",
            who=denial.who,
            peer=denial.peer,
            method=denial.method,
            reason=denial.reason,
            count=count,
            total=self.total,
        )

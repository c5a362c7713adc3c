"""How a trial's augmentation policy goes, in the worker's log."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from autoisp_isp.augment.augmenter import PolicyReport

_EVERY_SECONDS = 10.0

_log = structlog.get_logger(__name__)


class PolicyLog:
    """Logs a policy's reports while the training runs, so that those of a trial that fails are there too.

    Args:
        trial: whose policy it is.
        clock: seconds.
    """

    def __init__(self, trial: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._trial, self._clock = trial, clock
        self._step = -1
        self._next = clock()

    def note(self, policy: PolicyReport | None, *, last: bool = False) -> None:
        """Logs a report that is new: about every ten seconds, and the training's last one in any case."""
        if policy is None or policy.step == self._step or (self._clock() < self._next and not last):
            return
        self._step, self._next = policy.step, self._clock() + _EVERY_SECONDS
        _log.info(
            "augmentation policy",
            trial=self._trial,
            step=policy.step,
            entropy=round(policy.entropy, 3),
            ratio=round(policy.ratio, 2),
            rollbacks=policy.rollbacks,
        )

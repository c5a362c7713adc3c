"""The states of long work (searches, trials, evaluations) and the moves between them."""

from __future__ import annotations

from enum import Enum

from autoisp_core.errors import FailedPreconditionError


class JobState(Enum):
    """Where a piece of work is; the last three are terminal."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        """Whether nothing can follow."""
        return not _MOVES[self]


_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset({JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def can_move(current: JobState, target: JobState) -> bool:
    """Whether ``target`` may follow ``current``. Staying is no move; a result may overtake "running"."""
    return target in _MOVES[current]


def require_move(resource: str, current: JobState, target: JobState) -> None:
    """Check that ``resource`` may go from ``current`` to ``target``.

    Raises:
        FailedPreconditionError: it may not.
    """
    if not can_move(current, target):
        raise FailedPreconditionError(
            f"{resource} is {current.value} and can't become {target.value}; get it again to see its state",
            reason="INVALID_STATE",
            metadata={"resource": resource, "state": current.value},
        )

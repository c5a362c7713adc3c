"""The states of searches and trials, and the moves between them. Final states are final."""

from __future__ import annotations

from enum import Enum
from typing import NoReturn

from autoisp_core.errors import FailedPreconditionError


class SearchState(Enum):
    """Where a search is; the last three are final."""

    PROFILING = "PROFILING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return not _SEARCH_MOVES[self]


_SEARCH_MOVES: dict[SearchState, frozenset[SearchState]] = {
    SearchState.PROFILING: frozenset({SearchState.RUNNING, SearchState.FAILED, SearchState.CANCELLED}),
    SearchState.RUNNING: frozenset({SearchState.SUCCEEDED, SearchState.FAILED, SearchState.CANCELLED}),
    SearchState.SUCCEEDED: frozenset(),
    SearchState.FAILED: frozenset(),
    SearchState.CANCELLED: frozenset(),
}


class TrialState(Enum):
    """Where a trial is; the last four are final."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PRUNED = "PRUNED"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return not _TRIAL_MOVES[self]


_FINAL = frozenset({TrialState.SUCCEEDED, TrialState.FAILED, TrialState.PRUNED, TrialState.CANCELLED})
_TRIAL_MOVES: dict[TrialState, frozenset[TrialState]] = {
    # A result may overtake the report that the trial runs.
    TrialState.QUEUED: _FINAL | {TrialState.RUNNING},
    TrialState.RUNNING: _FINAL,
    **dict.fromkeys(_FINAL, frozenset()),
}


def require_search_move(name: str, current: SearchState, target: SearchState) -> None:
    """Check that the search may go on so.

    Raises:
        FailedPreconditionError: it may not.
    """
    if target not in _SEARCH_MOVES[current]:
        _refuse(name, current, target)


def require_trial_move(name: str, current: TrialState, target: TrialState) -> None:
    """Check that the trial may go on so.

    Raises:
        FailedPreconditionError: it may not.
    """
    if target not in _TRIAL_MOVES[current]:
        _refuse(name, current, target)


def _refuse(name: str, current: Enum, target: Enum) -> NoReturn:
    raise FailedPreconditionError(
        f"{name} is {current.value} and can't become {target.value}; get it again to see its state",
        reason="INVALID_STATE",
        metadata={"resource": name, "state": str(current.value)},
    )

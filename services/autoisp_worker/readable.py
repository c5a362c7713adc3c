"""What of a clip can be read where a part of it is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from autoisp_core.errors import DataLossError, NotFoundError

UNREADABLE_AT_MOST = 0.05
"""Share of the training frames that may be unreadable: past it, the training is not the one asked for."""


class FootageUnreadableError(DataLossError):
    """Too many training frames can't be read; the same frames will not be readable the next time."""

    default_reason = "FOOTAGE_UNREADABLE"

    def __init__(self, unreadable: int, frames: int, first: DataLossError | NotFoundError) -> None:
        super().__init__(
            f"{unreadable} of {frames} training frames can't be read, and at most "
            f"{UNREADABLE_AT_MOST:.0%} may be lost: upload the clips again (first: {first})",
            metadata={
                **first.metadata,
                "unreadable": str(unreadable),
                "frames": str(frames),
                "limit": str(UNREADABLE_AT_MOST),
            },
        )


def readable_runs(read: Callable[[int, int], object], first: int, end: int) -> Iterator[tuple[int, int]]:
    """The longest ranges of consecutive frames in [first, end) that can be read.

    Args:
        read: reads a range, and raises ``DataLossError`` or ``NotFoundError`` where some of it is unreadable.
        first, end: frames.
    """
    start = first
    for index in range(first, end):
        try:
            read(index, index + 1)
        except (DataLossError, NotFoundError):
            if start < index:
                yield start, index
            start = index + 1
    if start < end:
        yield start, end

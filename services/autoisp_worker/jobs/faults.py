"""Whose fault: a job's own is its result; the surroundings' is a reason to try again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from autoisp_core.errors import AbortedError, AutoISPError, ResourceExhaustedError, from_parts

from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.domain import Failure

_log = structlog.get_logger(__name__)


class StoppedError(AbortedError):
    """The job was asked to end; it is no result unless its search was cancelled."""

    default_reason = "STOPPED"

    def __init__(self, reason: StopReason) -> None:
        super().__init__(f"the job ended early: {reason.value}")
        self.stop_reason = reason


def failure_of(error: Exception) -> Failure:
    """The failure that the job ends with.

    Raises:
        AutoISPError: another attempt, perhaps by another worker, may succeed.
    """
    if isinstance(error, MemoryError):
        raise ResourceExhaustedError(
            "this worker has not enough memory for the job; lower AUTOISP_FRAME_CACHE_BYTES, or give it more",
            reason="OUT_OF_MEMORY",
        ) from error
    if isinstance(error, AutoISPError) and error.transient:
        raise error
    if not isinstance(error, AutoISPError):
        # A bug or a library's refusal: the same again would cost the same again.
        _log.error("a job failed unexpectedly", exc_info=error)
    return Failure.of(error)


def check_stop(stop: StopRequest) -> None:
    """End the job if that was asked for.

    Raises:
        StoppedError: it was.
    """
    if stop.reason is not None:
        raise StoppedError(stop.reason)


@contextmanager
def blamed(whom: str) -> Iterator[None]:
    """Errors of the body say whose they are; those that another attempt may overcome stay as they are."""
    try:
        yield
    except AutoISPError as error:
        if error.transient:
            raise
        raise from_parts(error.code, error.reason, f"{whom}: {error.message}", error.metadata) from error

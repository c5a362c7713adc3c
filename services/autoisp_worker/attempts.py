"""How often a job cost its worker's life, which JetStream's count of deliveries can't tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog
from autoisp_core.errors import AutoISPError, FailedPreconditionError, ResourceExhaustedError
from autoisp_runtime.artifacts import ArtifactStore

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Attempts:
    """Counts, in the artifact store, the attempts at each job that began and never ended.

    A killed process leaves its attempt open. A failure is an end, and so is handing the job back at a stop:
    however many of them cost a job nothing. Lack of memory stays open too: another worker may have more, but
    not every one shall be asked. All methods block.

    Args:
        store: keeps the counts.
        limit: open attempts after which a job is given up.
    """

    def __init__(self, store: ArtifactStore, limit: int) -> None:
        self._store = store
        self._limit = limit

    def run(self, key: str, job: Callable[[], T]) -> T:
        """Do ``job``, whose result goes under ``key``, as one attempt.

        Raises:
            FailedPreconditionError: there were too many attempts; for good.
            ResourceExhaustedError, UnavailableError: the store takes nothing, so it would not take a result.
            Whatever ``job`` raises.
        """
        before = self._open(key)
        if before >= self._limit:
            raise FailedPreconditionError(
                f"it was begun {before} times, and each time the worker died or lacked memory; the workers' "
                "logs, and the system's for killed processes, say which",
                reason="WORKER_CRASHED",
            )
        self._store.put_result(_key(key), b"%d" % (before + 1), overwrite=True)
        try:
            result = job()
        except ResourceExhaustedError as error:
            if error.reason != "OUT_OF_MEMORY":
                self._end(key)
            elif before + 1 >= self._limit:
                raise FailedPreconditionError(str(error), reason=error.reason) from error
            raise
        except BaseException:
            self._end(key)
            raise
        self.forget(key)
        return result

    def forget(self, key: str) -> None:
        """The job is settled; forget its attempts, if the store lets us."""
        try:
            self._store.delete_result(_key(key))
        except AutoISPError as error:
            _log.warning("the count of attempts stays", key=key, error=str(error))

    def _end(self, key: str) -> None:
        try:
            # Not what it was before: somebody else may have begun since, after a lost connection.
            if (still_open := self._open(key) - 1) > 0:
                self._store.put_result(_key(key), b"%d" % still_open, overwrite=True)
            else:
                self._store.delete_result(_key(key))
        except AutoISPError as error:
            _log.warning("an attempt stays open", key=key, error=str(error))

    def _open(self, key: str) -> int:
        return int(self._store.get_result(_key(key)) or b"0")


def _key(key: str) -> str:
    return f"attempts/{key}"

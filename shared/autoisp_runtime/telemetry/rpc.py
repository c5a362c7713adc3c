"""A served call as a span and a measurement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from opentelemetry.trace import Span

from autoisp_runtime.telemetry import spans
from autoisp_runtime.telemetry.metrics import RPC_SECONDS

# What the conventions call a server's failure; the rest is the caller's.
_FAILURES = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


class ServedCall:
    """One call that is being answered."""

    def __init__(self, method: str, span: Span, started: float) -> None:
        self._method = method
        self._span = span
        self._started = started

    def ended(self, code: str) -> float:
        """It was answered with a status of this name; returns the seconds that it took."""
        seconds = time.perf_counter() - self._started
        RPC_SECONDS.labels(self._method, code).observe(seconds)
        if self._span.is_recording():
            status = grpc.StatusCode.__members__.get(code)
            self._span.set_attribute("rpc.grpc.status_code", status.value[0] if status else 2)
            if code in _FAILURES:
                spans.fail(self._span, code, code)
        return seconds


@contextmanager
def serving(method: str, traceparent: str | None, started: float | None = None) -> Iterator[ServedCall]:
    """Answer a call of ``/package.Service/Method`` that came with ``traceparent``.

    Args:
        started: when it came, by ``time.perf_counter``; None: now.
    """
    began = time.perf_counter() if started is None else started
    path = method.removeprefix("/")
    service, _, name = path.partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    with spans.span(path, attributes, kind="server", parent=traceparent, mark_failed=False) as span:
        yield ServedCall(method, span, began)

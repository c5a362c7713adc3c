"""Spans of OpenTelemetry. Until :func:`enable` is called, a span is only the W3C context passed on.

The context of what is handled is OpenTelemetry's own, so its instrumentations join in;
:func:`autoisp_runtime.tracing.current_traceparent` gives it to whatever is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from autoisp_runtime.tracing import remote_context, traced

Attributes = Mapping[str, AttributeValue]


class Parent(Enum):
    """Where a span hangs, other than under a ``traceparent``."""

    CURRENT = "under what is handled now"
    NONE = "a trace of its own, linked to what is handled now"


_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_KINDS |= {"producer": SpanKind.PRODUCER, "consumer": SpanKind.CONSUMER}
_tracer: trace.Tracer | None = None
_chosen_trace: ContextVar[int | None] = ContextVar("chosen_trace", default=None)


def enable(provider: trace.TracerProvider | None) -> None:
    """Make spans from now on; None: make none."""
    global _tracer
    _tracer = provider.get_tracer("autoisp") if provider is not None else None


def enabled() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def chosen_trace() -> int | None:
    """The id that the trace begun now is to have; None: any."""
    return _chosen_trace.get()


@contextmanager
def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    kind: str = "internal",
    parent: str | Parent | None = Parent.CURRENT,
    trace_key: str = "",
    mark_failed: bool = True,
) -> Iterator[Span]:
    """Do the body as one span; an exception marks it as failed and goes on.

    Args:
        kind: internal, server, client, producer or consumer.
        parent: the ``traceparent`` that came with what is handled; None or a malformed one: nothing
            came, it begins a trace.
        trace_key: what a trace that begins here is of. The same key gives the same trace again, in another
            process too.
        mark_failed: whether an exception is a failure; False: the caller says so with :func:`fail`.
    """
    if _tracer is None:
        if isinstance(parent, Parent):
            yield trace.INVALID_SPAN
        else:
            with traced(parent):
                yield trace.INVALID_SPAN
        return
    before = trace.get_current_span().get_span_context()
    links = [Link(before)] if parent is Parent.NONE and before.is_valid else []
    context = None
    if parent is not Parent.CURRENT:
        context = remote_context(None if isinstance(parent, Parent) else parent)
    chosen = _chosen_trace.set(_trace_of(trace_key) if trace_key else None)
    try:
        started = _tracer.start_span(name, context, _KINDS[kind], attributes=attributes, links=links)
    finally:
        _chosen_trace.reset(chosen)
    # No exception is recorded: the log has it, with this span's id.
    with trace.use_span(
        started, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except Exception as error:
            if mark_failed:
                fail_with(current, error)
            raise


def fail_with(current: Span, error: Exception) -> None:
    """Mark a span as failed by an exception."""
    fail(current, getattr(error, "reason", "") or type(error).__name__, str(error))


def fail(current: Span, error_type: str, description: str) -> None:
    """Mark a span as failed."""
    current.set_attribute("error.type", error_type)
    current.set_status(Status(StatusCode.ERROR, description[:1000]))


def _trace_of(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:16]) or 1

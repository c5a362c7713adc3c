"""W3C ``traceparent`` pass-through: what arrives with a call or a message leaves with what that causes.

Also without a collector of ours: whoever calls us may have one. With one,
:mod:`autoisp_runtime.telemetry.spans` puts spans of ours in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

TRACEPARENT = "traceparent"

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def current_traceparent() -> str | None:
    """The ``traceparent`` of what is being handled now, if it came with one or is a span of ours."""
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return None
    return f"00-{current.trace_id:032x}-{current.span_id:016x}-{current.trace_flags:02x}"


def current_ids() -> tuple[str, str] | None:
    """Trace and span id of what is being handled now, in hexadecimal, for logs."""
    current = trace.get_current_span().get_span_context()
    return (f"{current.trace_id:032x}", f"{current.span_id:016x}") if current.is_valid else None


def remote_context(traceparent: str | None) -> Context:
    """An empty context under ``traceparent``; a malformed one is dropped, as the standard asks."""
    match = _FORM.fullmatch(traceparent) if traceparent else None
    if match is None or match[1] == "ff":
        return Context()
    flags = TraceFlags(int(match[4], 16) & TraceFlags.SAMPLED)
    parent = SpanContext(int(match[2], 16), int(match[3], 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(parent), Context()) if parent.is_valid else Context()


@contextmanager
def traced(traceparent: str | None) -> Iterator[None]:
    """Handle something that came with ``traceparent``."""
    token = otel_context.attach(remote_context(traceparent))
    try:
        yield
    finally:
        otel_context.detach(token)

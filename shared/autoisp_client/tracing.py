"""Spans of calls, where the program has set OpenTelemetry up; without that, nothing is in their way.

The context goes along as W3C ``traceparent``, so that what the services make of a call hangs under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def is_on() -> bool:
    """Whether spans made now would go anywhere."""
    return not isinstance(trace.get_tracer_provider(), (trace.ProxyTracerProvider, trace.NoOpTracerProvider))


def traced_channel(channel: grpc.Channel) -> grpc.Channel:
    """The channel, with a span for each call if :func:`is_on`."""
    return grpc.intercept_channel(channel, _Interceptor()) if is_on() else channel


def aio_interceptors() -> Sequence[grpc.aio.ClientInterceptor]:
    """What gives each call of an asyncio channel a span, if :func:`is_on`."""
    return [_AioUnary(), _AioUnaryStream(), _AioStreamUnary(), _AioStreamStream()] if is_on() else []


def _begin(details: Any) -> tuple[Span, tuple[tuple[str, str | bytes], ...]]:
    """A span, and the call's metadata with its context. The span ends when the call does."""
    method = details.method.decode() if isinstance(details.method, bytes) else details.method
    path = method.removeprefix("/")
    service, _, name = path.partition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    span = trace.get_tracer("autoisp_client").start_span(path, kind=SpanKind.CLIENT, attributes=attributes)
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, trace.set_span_in_context(span))
    return span, (*(details.metadata or ()), *carrier.items())


def _end(span: Span, code: Any) -> None:
    code = code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN
    span.set_attribute("rpc.grpc.status_code", code.value[0])
    # Cancelled is what a caller makes of a watch that it has seen enough of.
    if code not in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED):
        span.set_attribute("error.type", code.name)
        span.set_status(Status(StatusCode.ERROR, code.name))
    span.end()


class _Details(grpc.ClientCallDetails):
    def __init__(self, details: Any, metadata: Any) -> None:
        self.method = details.method
        self.timeout = details.timeout
        self.metadata = metadata
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


class _Interceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        span, metadata = _begin(details)
        call = continuation(_Details(details, metadata), request)
        call.add_done_callback(lambda ended: _end(span, ended.code()))
        return call

    intercept_unary_unary = _call  # type: ignore[assignment]
    intercept_unary_stream = _call  # type: ignore[assignment]
    intercept_stream_unary = _call  # type: ignore[assignment]
    intercept_stream_stream = _call  # type: ignore[assignment]


class _Aio:
    """gRPC takes an asyncio interceptor for one kind of method only, so there are four."""

    async def _call(self, continuation: Any, details: Any, request: Any) -> Any:
        span, metadata = _begin(details)
        call = await continuation(details._replace(metadata=grpc.aio.Metadata(*metadata)), request)

        async def end() -> None:
            _end(span, await call.code())

        ending: set[asyncio.Task[None]] = set()  # held by the callback, or it might be collected

        def done(_call: object) -> None:
            ending.add(asyncio.ensure_future(end()))

        call.add_done_callback(done)
        return call


class _AioUnary(_Aio, grpc.aio.UnaryUnaryClientInterceptor):
    intercept_unary_unary = _Aio._call  # type: ignore[assignment]


class _AioUnaryStream(_Aio, grpc.aio.UnaryStreamClientInterceptor):
    intercept_unary_stream = _Aio._call  # type: ignore[assignment]


class _AioStreamUnary(_Aio, grpc.aio.StreamUnaryClientInterceptor):
    intercept_stream_unary = _Aio._call  # type: ignore[assignment]


class _AioStreamStream(_Aio, grpc.aio.StreamStreamClientInterceptor):
    intercept_stream_stream = _Aio._call  # type: ignore[assignment]

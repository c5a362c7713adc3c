"""What surrounds every call: errors become statuses, trace context is passed on, one log line at the end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from autoisp_core.errors import AutoISPError, ErrorCode, InternalError, UnimplementedError
from autoisp_core.ids import new_id

from autoisp_runtime.grpc_errors import abort
from autoisp_runtime.malformed import raising, returning, taken
from autoisp_runtime.telemetry.metrics import RPC_SECONDS
from autoisp_runtime.telemetry.rpc import ServedCall, serving
from autoisp_runtime.tracing import TRACEPARENT
from autoisp_runtime.writing import written

_log = structlog.get_logger(__name__)

_LOGGED_CHARS = 1000
_POLLED = ("/grpc.health.", "/grpc.reflection.")
"""Without a line in the log: probes come all the time, and health is open to everybody."""
_FACTORIES = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps all four kinds of methods.

    - :class:`AutoISPError` becomes ``google.rpc.Status`` with one ``ErrorInfo``.
    - Bytes that are no request become ``INVALID_ARGUMENT``.
    - Any other exception becomes ``INTERNAL`` with an id; what happened is in the log under that id, not on
      the wire.
    - Cancellation, and a servicer's own ``context.abort``, pass through.

    Args:
        quiet: methods (``/package.Service/Method``) that are called thousands of times a second: unary ones
            whose good calls leave no line in the log and carry no trace context; it may grow until the first
            call.
    """

    def __init__(self, quiet: Set[str] = frozenset()) -> None:
        self._quiet = quiet
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of one method; it is the same for all its calls."""
        method = handler_call_details.method
        if wrapped := self._wrapped.get(method):
            return wrapped
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # not kept: whoever makes up methods fills no memory
        self._wrapped[method] = wrapped = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> Any:
        behaviour = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )

        around = _polled if method.startswith(_POLLED) else _call

        async def unary(request: Any, context: Any) -> Any:
            async with around(method, context):
                return await behaviour(taken(request), context)

        good = RPC_SECONDS.labels(method, "OK")

        async def quiet(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            try:
                response = await behaviour(taken(request), context)
            except Exception:
                async with _call(method, context, started):
                    raise
            good.observe(time.perf_counter() - started)
            return response

        async def streaming(request: Any, context: Any) -> None:
            async with around(method, context):
                await written(behaviour(taken(request), context), context)

        factory: Any = _FACTORIES[handler.request_streaming, handler.response_streaming]
        answering = quiet if method in self._quiet else unary
        reading = raising if handler.request_streaming else returning
        return factory(
            streaming if handler.response_streaming else answering,
            request_deserializer=reading(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


@asynccontextmanager
async def _polled(method: str, context: Any) -> AsyncIterator[None]:
    try:
        yield
    except AutoISPError as error:
        await abort(context, error)
    except NotImplementedError:  # gRPC would write a traceback for whoever asks
        await abort(context, UnimplementedError(f"{method} is not offered here"))


@asynccontextmanager
async def _call(method: str, context: Any, started: float | None = None) -> AsyncIterator[None]:
    metadata = dict(context.invocation_metadata() or ())
    with serving(method, metadata.get(TRACEPARENT), started) as served:
        async with _answered(method, context, served):
            yield


@asynccontextmanager
async def _answered(method: str, context: Any, served: ServedCall) -> AsyncIterator[None]:
    code, fields = "OK", {}
    try:
        yield
    except AutoISPError as error:
        code, fields = error.code.name, {"reason": error.reason, "error": str(error)[:_LOGGED_CHARS]}
        if error.code is ErrorCode.INTERNAL:
            _log.error("failed", method=method, exc_info=error)
        await abort(context, error)
    except grpc.aio.AbortError:
        code = _code_of(context)
        raise
    except Exception as error:
        code, error_id = "INTERNAL", new_id("e")
        _log.error("failed unexpectedly", method=method, error_id=error_id, exc_info=error)
        hidden = InternalError(
            f"{method} failed on the server; its log has the details under {error_id}",
            metadata={"error_id": error_id},
        )
        # "from None": grpc would log the original a second time.
        await abort(context, hidden)
    except BaseException:  # the client cancelled, its deadline passed, or the server stops
        code = "CANCELLED"
        raise
    finally:
        seconds = served.ended(code)
        _log.info("call", method=method, code=code, ms=round(1000 * seconds, 1), **fields)


def _code_of(context: Any) -> str:
    code = context.code()
    return str(getattr(code, "name", code))

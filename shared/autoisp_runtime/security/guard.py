"""Stands before every method: lets callers in that may call it, and logs those that may not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import grpc
from autoisp_core.actor import MAX_CHARS, is_actor
from autoisp_core.errors import AutoISPError, PermissionDeniedError, UnauthenticatedError

from autoisp_runtime.grpc_errors import abort
from autoisp_runtime.security.caller import Caller, called_by, host_of
from autoisp_runtime.security.denials import Denial, DenialLog
from autoisp_runtime.security.limits import RateLimit, StreamLimit
from autoisp_runtime.security.project_calls import ProjectCall
from autoisp_runtime.security.project_methods import FOR_PROJECTS
from autoisp_runtime.security.projects import Project
from autoisp_runtime.security.scopes import Scope, scope_of
from autoisp_runtime.security.tokens import TokenFile
from autoisp_runtime.telemetry.metrics import RPC_DENIED
from autoisp_runtime.writing import written

_HEALTH = "/grpc.health."
"""Open to everybody: whoever probes has no token, and learns nothing but whether we work. Only its streams
are counted."""
_SCHEME = "bearer "
_LOGGED_METHOD_CHARS = 200


class Guard(grpc.aio.ServerInterceptor):
    """The outermost interceptor.

    Args:
        tokens: that callers must show; None: they need none.
        certificates: whether TLS has made callers prove a name already.
        rate: for each caller; None: any.
        streams: for each caller; None: any number.
        scopes: what a method takes, see :func:`scope_of`.
    """

    def __init__(
        self,
        tokens: TokenFile | None = None,
        *,
        certificates: bool = False,
        rate: RateLimit | None = None,
        streams: StreamLimit | None = None,
        scopes: Callable[[str], Scope | None] = scope_of,
    ) -> None:
        self._tokens, self._certificates = tokens, certificates
        self._rate, self._streams, self._scopes = rate, streams, scopes
        self._denials = DenialLog()
        self._guarded: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Put the guard before the handler of one method; it is the same for all its calls."""
        method = handler_call_details.method
        if guarded := self._guarded.get(method):
            return guarded
        handler: Any = await continuation(handler_call_details)
        if handler is None or (method.startswith(_HEALTH) and not handler.response_streaming):
            return handler
        self._guarded[method] = guarded = self._guard(method, handler)
        return guarded

    def _guard(self, method: str, handler: Any) -> Any:
        streams = handler.request_streaming or handler.response_streaming
        # A single request is decoded only once its caller is let in.
        decode = handler.request_deserializer if not handler.request_streaming else None

        def decoded(request: Any) -> Any:
            return decode(request) if decode is not None else request

        async def unary(request: Any, context: Any) -> Any:
            with ExitStack() as held:
                call = await self._admit(method, context, held, streams=streams)
                behaviour = handler.unary_unary or handler.stream_unary
                if call is not None:
                    return await call.unary(behaviour, decoded(request), context)
                return await behaviour(decoded(request), context)

        async def streaming(request: Any, context: Any) -> None:
            with ExitStack() as held:
                call = await self._admit(method, context, held, streams=streams)
                behaviour = handler.unary_stream or handler.stream_stream
                if call is not None:
                    await written(await call.streaming(behaviour, decoded(request), context), context)
                    return
                await written(behaviour(decoded(request), context), context)

        factory: Any = _FACTORIES[handler.request_streaming, handler.response_streaming]
        return factory(
            streaming if handler.response_streaming else unary,
            request_deserializer=handler.request_deserializer if handler.request_streaming else None,
            response_serializer=handler.response_serializer,
        )

    async def _admit(
        self, method: str, context: Any, held: ExitStack, *, streams: bool
    ) -> ProjectCall | None:
        peer, name = host_of(context.peer()), ""

        def denied(error: AutoISPError) -> None:
            RPC_DENIED.labels(method, error.reason).inc()
            self._denials.add(Denial(name, peer, method[:_LOGGED_METHOD_CHARS], error.reason))

        try:
            if method.startswith(_HEALTH):
                caller = Caller("", peer, Scope.READ)
            else:
                caller = self._caller(context, peer)
                name = caller.name
                if self._rate is not None:
                    self._rate.take(caller.key)
                self._check_scope(method, caller)
            if streams and self._streams is not None:
                held.enter_context(self._streams.held(caller.key))
        except AutoISPError as error:
            denied(error)
            await abort(context, error)
        held.enter_context(called_by(caller))
        return ProjectCall(caller.project, denied) if caller.project else None

    def _caller(self, context: Any, peer: str) -> Caller:
        if self._tokens is None:
            return Caller(self._certified(context), peer, Scope.ADMIN)
        secret = _bearer(context.invocation_metadata() or ())
        if not secret:
            raise UnauthenticatedError(
                "this server asks for a token; set AUTOISP_TOKEN, or give --token-file", reason="NO_TOKEN"
            )
        token = self._tokens.find(secret)
        if token is None:
            raise UnauthenticatedError(
                "the server does not know this token; check AUTOISP_TOKEN, or have a new one made with "
                "'autoisp tokens new'",
                reason="UNKNOWN_TOKEN",
            )
        if token.expired(datetime.now(UTC)):
            raise UnauthenticatedError(
                f"the token {token.name!r} expired at {token.expires}; have a new one made with "
                "'autoisp tokens new'",
                reason="TOKEN_EXPIRED",
            )
        project = Project(token.project, token.sha256) if token.project else None
        return Caller(token.name, peer, token.scope, project)

    def _certified(self, context: Any) -> str:
        if not self._certificates:
            return ""
        auth = _auth(context)
        for key in ("x509_common_name", "x509_subject_alternative_name"):
            for value in auth.get(key, ()):
                if is_actor(name := value.decode("utf-8", "replace")[:MAX_CHARS]):
                    return name
        return "unnamed certificate"

    def _check_scope(self, method: str, caller: Caller) -> None:
        needed = self._scopes(method)
        if needed is None:
            raise PermissionDeniedError(f"{method} has no scope, so nobody may call it", reason="NO_SCOPE")
        if caller.project is not None and method not in FOR_PROJECTS:
            raise PermissionDeniedError(
                f"{method} is not for callers of one project: it is about everybody's",
                reason="NOT_FOR_PROJECTS",
            )
        if caller.scope < needed:
            raise PermissionDeniedError(
                f"{method} takes the scope {needed.word}, and the token {caller.name!r} has "
                f"{caller.scope.word}; use another, or have one made with "
                f"'autoisp tokens new --scope {needed.word}'",
                reason="SCOPE_MISSING",
                metadata={"scope": needed.word},
            )


def _bearer(metadata: Any) -> str:
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str) and value.lower().startswith(_SCHEME):
            return value[len(_SCHEME) :].strip()
    return ""


def _auth(context: Any) -> Mapping[str, list[bytes]]:
    found: Mapping[str, list[bytes]] = context.auth_context()
    return found


_FACTORIES = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}

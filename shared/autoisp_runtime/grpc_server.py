"""The gRPC server object: our services, health per service, reflection, errors and logs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

import grpc
import structlog
from autoisp_core.errors import AutoISPError, InvalidArgumentError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from autoisp_runtime.interceptors import CallInterceptor
from autoisp_runtime.probe import LIVENESS
from autoisp_runtime.security import OPEN, Security

S = TypeVar("S")
Check = Callable[[], Awaitable[None]]

_log = structlog.get_logger(__name__)

_OPTIONS = (
    # Without this a second server on the same port would share it instead of failing.
    ("grpc.so_reuseport", 0),
    # Watch streams are silent for minutes: let clients find out whether we are still there.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer:
    """One server; add services, start, stop. Every service is NOT_SERVING until the first good check.

    Args:
        listen: ``HOST:PORT``; port 0 takes a free one.
        security: who may call; by default everybody.
    """

    def __init__(self, listen: str, security: Security = OPEN) -> None:
        self._listen = listen
        self._security = security
        self._quiet: set[str] = set()
        interceptors = (*security.interceptors, CallInterceptor(self._quiet))
        self._server = grpc.aio.server(interceptors=interceptors, options=(*_OPTIONS, *security.options))
        self._health = health.aio.HealthServicer()
        self._names: list[str] = []
        self._serving: bool | None = None
        self.port = 0

    def add(self, register: Callable[[S, Any], None], servicer: S, *, quiet: Collection[str] = ()) -> None:
        """Add a service: ``add(search_pb2_grpc.add_SearchServiceServicer_to_server, servicer)``.

        Args:
            quiet: its unary methods that are called too often for a line in the log each, see
                :class:`CallInterceptor`.
        """
        register(servicer, _NamingServer(self._server, self._names))
        self._quiet |= {f"/{self._names[-1]}/{method}" for method in quiet}

    @property
    def serves(self) -> bool:
        """Whether any service was added."""
        return bool(self._names)

    async def start(self) -> int:
        """Bind and serve; returns the port.

        Raises:
            InvalidArgumentError: the address can't be bound.
        """
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        await self._report(serving=False)
        await self._health.set(LIVENESS, _SERVING)
        try:
            self.port = self._security.bind(self._server, self._listen)
        except RuntimeError as error:
            raise InvalidArgumentError(
                "listen",
                f"can't listen on {self._listen}; is the port taken? ({error})",
                reason="CANT_LISTEN",
            ) from error
        await self._server.start()
        return self.port

    async def watch_dependencies(self, checks: Mapping[str, Check], every_s: float = 2.0) -> None:
        """Keep the health what ``checks`` say, for ever; a check raises ``AutoISPError`` to say no."""
        while True:
            await self.check_dependencies(checks)
            await asyncio.sleep(every_s)

    async def check_dependencies(self, checks: Mapping[str, Check]) -> None:
        """Run the checks once and report: SERVING only if all are content."""
        failed = {}
        for name, check in checks.items():
            try:
                await check()
            except AutoISPError as error:
                failed[name] = str(error)
        serving = not failed
        if serving != self._serving:
            if failed:
                _log.warning("not serving", **failed)
            await self._report(serving=serving)

    async def stop(self, grace_s: float) -> None:
        """Say NOT_SERVING, take no new calls, let running ones end within ``grace_s``, cut the rest."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    async def _report(self, *, serving: bool) -> None:
        self._serving = serving
        for name in ("", *self._names):
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)


class _NamingServer:
    """Passes registrations on and notes the services' full names, so that nobody has to repeat them."""

    def __init__(self, server: grpc.aio.Server, names: list[str]) -> None:
        self._server = server
        self._names = names

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
        self._names.append(service_name)
        self._server.add_registered_method_handlers(service_name, method_handlers)

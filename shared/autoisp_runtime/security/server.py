"""From the configuration to what a server needs."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import structlog
from autoisp_core.errors import InvalidArgumentError

from autoisp_runtime.security.config import SecurityConfig, is_loopback
from autoisp_runtime.security.guard import Guard
from autoisp_runtime.security.limits import RateLimit, StreamLimit
from autoisp_runtime.security.tls import TlsFiles, server_credentials
from autoisp_runtime.security.tokens import TokenFile

_log = structlog.get_logger(__name__)

_CONNECTION_AGE_MS = 600_000
"""Whoever proved itself proves itself again after about so long: certificates expire, and authorities are
replaced. Running calls go on."""


@dataclass(frozen=True)
class Security:
    """How a server is protected.

    Attributes:
        guard: None: everybody may call everything.
        credentials: None: without TLS.
    """

    guard: Guard | None = None
    credentials: grpc.ServerCredentials | None = None

    @property
    def options(self) -> tuple[tuple[str, int], ...]:
        """Of gRPC, beside its own."""
        return (("grpc.max_connection_age_ms", _CONNECTION_AGE_MS),) if self.credentials else ()

    @property
    def interceptors(self) -> tuple[grpc.aio.ServerInterceptor, ...]:
        """What goes before all others."""
        return (self.guard,) if self.guard else ()

    def bind(self, server: grpc.aio.Server, listen: str) -> int:
        """Add the port; returns its number.

        Raises:
            RuntimeError: it can't be had.
        """
        if self.credentials is None:
            return server.add_insecure_port(listen)
        return server.add_secure_port(listen, self.credentials)


OPEN = Security()
"""No protection: for loopback."""


def security_of(config: SecurityConfig, listen: str) -> Security:
    """What the configuration asks for.

    Raises:
        InvalidArgumentError: names the field that is wrong or missing.
    """
    files = _tls_files(config)
    certificates = files is not None and files.client_ca is not None
    tokens = TokenFile(config.tokens_file) if config.tokens_file else None
    if tokens is not None and files is None and not is_loopback(listen):
        _log.warning(
            "tokens travel unencrypted; set AUTOISP_TLS_CERT, or have TLS end right before this process"
        )
    burst = config.rate_burst or round(2 * config.rate_limit)
    rate = RateLimit(config.rate_limit, burst) if config.rate_limit else None
    streams = StreamLimit(config.stream_limit) if config.stream_limit else None
    guarded = tokens is not None or certificates or rate is not None or streams is not None
    return Security(
        Guard(tokens, certificates=certificates, rate=rate, streams=streams) if guarded else None,
        server_credentials(files) if files else None,
    )


def _tls_files(config: SecurityConfig) -> TlsFiles | None:
    cert, key, client_ca = config.tls_cert, config.tls_key, config.tls_client_ca
    if cert is None and key is None and client_ca is None:
        return None
    if cert is None:
        raise InvalidArgumentError("tls_cert", "set it too: TLS takes the server's certificate and its key")
    if key is None:
        raise InvalidArgumentError("tls_key", "set it too: TLS takes the certificate's private key")
    return TlsFiles(cert, key, client_ca)

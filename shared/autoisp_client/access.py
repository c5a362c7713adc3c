"""How a client proves who it is, and knows whom it talks to: TLS files and a token."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from autoisp_core.errors import InvalidArgumentError, UnauthenticatedError

from autoisp_client.faults import CHANNEL_OPTIONS
from autoisp_client.tracing import aio_interceptors, traced_channel

SYSTEM = "system"
"""As ``AUTOISP_CA``: the authorities that this machine trusts."""

CA, CLIENT_CERT, CLIENT_KEY = "AUTOISP_CA", "AUTOISP_CLIENT_CERT", "AUTOISP_CLIENT_KEY"
TOKEN, TOKEN_FILE = "AUTOISP_TOKEN", "AUTOISP_TOKEN_FILE"


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of one side of TLS.

    Attributes:
        ca: authorities that servers' certificates must be of; None: those that this machine trusts.
        cert: the client's own certificate, where servers ask for one.
        key: its private key.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        """For a channel.

        Raises:
            InvalidArgumentError: field ``ca``, ``cert`` or ``key``: missing, unreadable, or no PEM.
            UnauthenticatedError: the client's certificate has expired.
        """
        if (self.cert is None) != (self.key is None):
            missing = "cert" if self.cert is None else "key"
            raise InvalidArgumentError(missing, "a certificate and its key go together; give both, or none")
        cert = _bytes("cert", self.cert)
        if self.cert is not None and cert is not None:
            _check_certificate(self.cert, cert)
        return grpc.ssl_channel_credentials(_bytes("ca", self.ca), _bytes("key", self.key), cert)


@dataclass(frozen=True, slots=True)
class Access:
    """What every connection of a client uses.

    Attributes:
        tls: None: without TLS.
        token: shown with every call; empty: none.
    """

    tls: Tls | None = None
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.token and (not self.token.isascii() or not self.token.isprintable() or " " in self.token):
            raise InvalidArgumentError(
                "token", "this is no token: give the one line that 'autoisp tokens new' printed"
            )

    @classmethod
    def chosen(
        cls, tls: Tls | bool | None, token: str | None, environment: Mapping[str, str] | None = None
    ) -> Access:
        """What is given, and for what is None what the environment says.

        Args:
            tls: True: with the authorities that this machine trusts; False: none.

        Raises:
            InvalidArgumentError: a variable names a file that can't be read.
        """
        known = os.environ if environment is None else environment
        if tls is None:
            tls = _tls(known)
        elif isinstance(tls, bool):
            tls = Tls() if tls else None
        return cls(tls, _token(known) if token is None else token)

    def channel(self, address: str) -> grpc.Channel:
        """A blocking channel."""
        plain: grpc.Channel = (
            grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
            if self.tls is None
            else grpc.secure_channel(address, self.tls.credentials(), options=CHANNEL_OPTIONS)
        )
        traced = traced_channel(plain)
        return _ShowingToken(traced, self.token) if self.token else traced  # type: ignore[return-value]

    def aio_channel(self, address: str) -> grpc.aio.Channel:
        """A channel for asyncio."""
        interceptors = aio_interceptors()
        plain = (
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS, interceptors=interceptors)
            if self.tls is None
            else grpc.aio.secure_channel(
                address, self.tls.credentials(), options=CHANNEL_OPTIONS, interceptors=interceptors
            )
        )
        return _ShowingToken(plain, self.token) if self.token else plain  # type: ignore[return-value]


PLAIN = Access()
"""Neither TLS nor a token."""


class _ShowingToken:
    """A channel whose calls carry the token; gRPC's own way to add one wants TLS to begin in this process."""

    def __init__(self, channel: Any, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)
        self.close = channel.close
        for kind in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            setattr(self, kind, self._carrying(getattr(channel, kind)))

    def _carrying(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **options: Any) -> Callable[..., Any]:
            call = method(*arguments, **options)

            def with_token(*sent: Any, metadata: Any = None, **chosen: Any) -> Any:
                return call(*sent, metadata=(*(metadata or ()), *self._metadata), **chosen)

            return with_token

        return made


def _tls(known: Mapping[str, str]) -> Tls | None:
    ca, cert, key = (known.get(name, "") for name in (CA, CLIENT_CERT, CLIENT_KEY))
    if not (ca or cert or key):
        return None
    return Tls(*(Path(text) if text and text != SYSTEM else None for text in (ca, cert, key)))


def _token(known: Mapping[str, str]) -> str:
    if known.get(TOKEN):
        return known[TOKEN].strip()
    path = known.get(TOKEN_FILE)
    return (_bytes("token-file", Path(path)) or b"").decode("utf-8", "replace").strip() if path else ""


def _bytes(name: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(name, f"can't read {path}: {error.strerror}") from error


def _check_certificate(path: Path, data: bytes) -> None:
    # Only whoever has a certificate waits for this import.
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(data)
    except ValueError as error:
        raise InvalidArgumentError("cert", f"{path} has no PEM certificate") from error
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise UnauthenticatedError(
            f"your certificate {path} expired at {certificate.not_valid_after_utc}; get a new one",
            reason="CERTIFICATE_EXPIRED",
            metadata={"field": "cert"},
        )

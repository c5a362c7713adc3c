"""The part of every service's configuration that says who may call."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class SecurityConfig(BaseSettings):
    """Everything here is off by default; then a service listens on loopback only."""

    tls_cert: Path | None = Field(None, description="the server's certificate (PEM); with it, all speak TLS")
    tls_key: Path | None = Field(None, description="the certificate's private key (PEM)")
    tls_client_ca: Path | None = Field(
        None, description="authorities (PEM) of certificates that clients must have"
    )
    tokens_file: Path | None = Field(
        None, description="TOML file of the tokens that clients must show one of"
    )
    nats_credentials: Path | None = Field(None, description="credentials or nkey seed file for NATS")
    nats_topology: bool = Field(True, description="make streams and consumers at the start, rather than wait")
    insecure: bool = Field(
        False, description="listen beyond loopback although everybody could call everything"
    )
    rate_limit: float = Field(0.0, ge=0, description="calls a second of one caller; 0: any")
    rate_burst: int = Field(0, ge=0, description="calls of one caller at once; 0: two seconds' worth")
    stream_limit: int = Field(0, ge=0, description="streams of one caller at the same time; 0: any")

    @field_validator("tls_cert", "tls_key", "tls_client_ca", "tokens_file", "nats_credentials", mode="before")
    @classmethod
    def _unset_when_empty(cls, value: Any) -> Any:
        return None if value == "" else value


def refuse_open_listen(config: SecurityConfig, listen: str) -> None:
    """Make sure that nobody gets in from outside without proving who they are.

    Raises:
        InvalidArgumentError: field ``listen``, if strangers could call; names what to set.
    """
    if is_loopback(listen) or config.tokens_file or config.tls_client_ca or config.insecure:
        return
    raise InvalidArgumentError(
        "listen",
        f"{listen} is open to other machines, and nobody would have to prove who they are; "
        "listen on 127.0.0.1, or set AUTOISP_TOKENS_FILE (make tokens with 'autoisp tokens new') and "
        "AUTOISP_TLS_CERT with AUTOISP_TLS_KEY, or AUTOISP_TLS_CLIENT_CA for clients' certificates; where "
        "the network itself keeps strangers out, set AUTOISP_INSECURE=true or start with --insecure",
        reason="OPEN_LISTEN",
    )


def is_loopback(listen: str) -> bool:
    """Whether ``HOST:PORT`` can be reached from this machine alone.

    >>> [is_loopback(a) for a in ("127.0.0.1:0", "[::1]:5", "localhost:5", "0.0.0.0:5", "[::]:5", "node7:5")]
    [True, True, True, False, False, False]
    """
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # some name: who knows where that leads
        return False

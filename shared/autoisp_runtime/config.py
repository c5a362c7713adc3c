"""Configuration from ``AUTOISP_*`` variables; a wrong one ends the process with code 2 and its name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from autoisp_runtime.instance import process_name
from autoisp_runtime.security.config import SecurityConfig

PREFIX = "AUTOISP_"
CONFIG_EXIT_CODE = 2

C = TypeVar("C", bound="ServiceConfig")


class ServiceConfig(SecurityConfig):
    """What every service is told; a service adds its own fields in a subclass and sets :attr:`service`.

    Each field is read from ``AUTOISP_<FIELD>``.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    service: ClassVar[str] = "service"
    """Short name: log field, database schema and file, ``autoisp/<service>`` as the source of events."""

    listen: str = Field("127.0.0.1:0", description="HOST:PORT of the gRPC server; port 0 takes a free one")
    port_file: Path | None = Field(None, description="where to write the port once the service is ready")
    nats_url: str = Field("nats://127.0.0.1:4222", description="NATS server, or several with commas between")
    nats_replicas: int = Field(1, ge=1, le=5, description="copies of each JetStream stream")
    state_dir: Path = Field(Path(".autoisp"), description="folder for the default database and store")
    database_url: str = Field("", description="default: SQLite, one file per service in the state folder")
    store_url: str = Field("", description="artifact store, file:///FOLDER or s3://BUCKET/PREFIX")
    log_format: Literal["auto", "json", "pretty"] = Field("auto", description="auto: pretty on a terminal")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    ack_wait_seconds: float = Field(30.0, gt=0, description="silence after which work is given to another")
    max_deliver: int = Field(5, ge=1, description="deliveries after which a message is a dead letter")
    metrics_listen: str = Field(
        "", description="HOST:PORT of /metrics for Prometheus; port 0 takes a free one, empty: off"
    )
    stop_grace_seconds: float = Field(10.0, ge=0, description="how long work in progress may go on at a stop")
    exit_with_parent: bool = Field(False, description="stop when the parent process is gone (embedded mode)")

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError("must be HOST:PORT, for example 127.0.0.1:0 or [::]:50051")
        return value

    @field_validator("metrics_listen")
    @classmethod
    def _metrics_host_and_port(cls, value: str) -> str:
        return cls._host_and_port(value) if value else value

    @field_validator("nats_url")
    @classmethod
    def _nats_scheme(cls, value: str) -> str:
        if not all(url.startswith(("nats://", "tls://", "ws://", "wss://")) for url in value.split(",")):
            raise ValueError("must begin with nats://, tls://, ws:// or wss://")
        return value

    @property
    def instance(self) -> str:
        """Tells processes of one service apart."""
        return process_name()

    @property
    def effective_database_url(self) -> str:
        """``database_url``, or the service's SQLite file in the state folder."""
        return self.database_url or f"sqlite+aiosqlite:///{self.state_dir.absolute() / self.service}.db"

    @property
    def effective_store_url(self) -> str:
        """``store_url``, or ``artifacts`` in the state folder."""
        return self.store_url or (self.state_dir.absolute() / "artifacts").as_uri()


def load_config(config_type: type[C], **overrides: Any) -> C:
    """Read the configuration, or end the process with code 2, naming every wrong variable on stderr."""
    try:
        return config_type(**overrides)
    except ValidationError as error:
        for problem in error.errors():
            exit_message(variable(str(problem["loc"][0])), _reason(problem))
        sys.exit(CONFIG_EXIT_CODE)


def variable(field: str) -> str:
    """The environment variable that sets ``field``."""
    return PREFIX + field.upper()


def exit_message(name: str, reason: str) -> None:
    """Say on stderr what is wrong with which variable."""
    print(f"error: {name}: {reason}", file=sys.stderr)


def _reason(problem: Mapping[str, Any]) -> str:
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{message} (it is {problem['input']!r})"

"""Structured logs to stderr: JSON lines in production, readable on a terminal; other libraries' join them."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor

from autoisp_runtime.tracing import current_ids

# They say at INFO what our own lines say already.
_CHATTY = ("aiosqlite", "alembic", "asyncio", "nats", "sqlalchemy")


def _add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """What the line belongs to, as OpenTelemetry names it in logs."""
    if ids := current_ids():
        event["trace_id"], event["span_id"] = ids
    return event


def configure_logging(
    service: str, log_format: Literal["auto", "json", "pretty"] = "auto", level: str = "info"
) -> None:
    """Set up ``structlog`` and the standard library's ``logging`` for this process; may be called again.

    Args:
        service: goes into every line.
        log_format: ``auto`` is ``pretty`` when stderr is a terminal, else ``json``.
        level: the lowest level to show.
    """

    def add_service(_logger: object, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_service,
        _add_trace,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    pretty = log_format == "pretty" or (log_format == "auto" and sys.stderr.isatty())
    rendering: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )

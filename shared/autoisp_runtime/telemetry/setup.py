"""Turning traces on, as the standard ``OTEL_*`` variables say."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

from autoisp_runtime.telemetry import spans

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SHUTDOWN_S = 3.0
_EXPORTER_LOG = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_SAY_EVERY_S = 60.0

_log = logging.getLogger(__name__)  # also of programs that have not set our logs up


def wanted() -> bool:
    """Whether the environment asks for traces: it names a collector, or the exporter ``otlp``."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    return "otlp" in exporter or any(os.environ.get(name) for name in _ENDPOINTS)


def start_tracing(service: str, instance: str, version: str) -> Callable[[], None]:
    """Send spans from now on, if the environment asks for it; returns what sends the last ones.

    The SDK reads the rest of the ``OTEL_*`` variables itself: sampler, headers, timeouts, attributes. What
    it can't make sense of costs the traces, not the process.
    """
    if not wanted():
        return lambda: None
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        _log.warning("no traces: only the protocol http/protobuf is spoken, not %s", protocol)
        return lambda: None
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from autoisp_runtime.telemetry.ids import Ids
    except ImportError as error:
        _log.warning("no traces: install autoisp[telemetry] (%s)", error)
        return lambda: None
    attributes = {
        "service.name": f"autoisp-{service}",  # the SDK would call every process "unknown_service"
        "service.namespace": "autoisp",
        "service.instance.id": instance,
        "service.version": version,
    }
    try:
        # Whoever runs it knows better: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are stronger than ours.
        given = OTELResourceDetector().detect().attributes
        ours = {name: value for name, value in attributes.items() if name not in given}
        provider = TracerProvider(resource=Resource.create(ours), id_generator=Ids(), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except Exception as error:
        _log.warning("no traces: an OTEL_ variable is wrong: %s", error)
        return lambda: None
    logging.getLogger(_EXPORTER_LOG).addFilter(_Seldom(_SAY_EVERY_S))
    trace.set_tracer_provider(provider)
    spans.enable(provider)

    def stop() -> None:
        # A collector that is away would hold the end up, trying again.
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_SHUTDOWN_S)

    return stop


class _Seldom(logging.Filter):
    """Lets a line through every so often: a collector that is away for days is told of four times a batch."""

    def __init__(self, every_s: float) -> None:
        super().__init__()
        self._every_s = every_s
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True

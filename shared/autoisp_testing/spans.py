"""Spans kept in this process, for tests that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoisp_runtime.telemetry import spans
from autoisp_runtime.telemetry.ids import Ids
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@contextmanager
def kept_spans() -> Iterator[InMemorySpanExporter]:
    """Make spans within the block, as a process with a collector does; each is there once it has ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(id_generator=Ids())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.enable(provider)
    try:
        yield exporter
    finally:
        spans.enable(None)

"""Ids of traces and spans. Imported only where traces are on: it needs the SDK."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from autoisp_runtime.telemetry.spans import chosen_trace


class Ids(RandomIdGenerator):
    """Random ones, but for a trace that is of something with a name; those are hashes, as evenly spread."""

    def generate_trace_id(self) -> int:
        """Of the trace that begins now."""
        return chosen_trace() or super().generate_trace_id()

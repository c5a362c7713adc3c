"""What every process offers to those who keep the product running, wired to its runtime."""

from __future__ import annotations

from typing import Any

from autoisp.operations.v1 import operations_pb2, operations_pb2_grpc

from autoisp_runtime.operations import processes
from autoisp_runtime.operations.api import OperationsServicer
from autoisp_runtime.operations.dead_letters import DeadLetters
from autoisp_runtime.operations.health import ProcessHealth
from autoisp_runtime.operations.sampling import Sampler
from autoisp_runtime.operations.wire import process_to
from autoisp_runtime.runtime import Runtime
from autoisp_runtime.telemetry.exposition import serve_metrics


def offer(runtime: Runtime[Any]) -> None:
    """Answer who asks for processes, offer OperationsService beside what is served, and metrics if asked for.

    Raises:
        InvalidArgumentError: the address of the metrics can't be bound.
    """
    config, nats = runtime.config, runtime.nats
    outbox = runtime.outbox if runtime.has_outbox else None
    health = ProcessHealth(runtime.checks, outbox)

    def describe() -> operations_pb2.Process:
        return process_to(config.service, config.instance, runtime.consumers)

    runtime.spawn("answering who is there", processes.answer(nats, describe))
    if runtime.server.serves:  # a worker has nobody who would call it
        servicer = OperationsServicer(describe, health, nats, DeadLetters(nats, runtime.publisher))
        runtime.serve(operations_pb2_grpc.add_OperationsServiceServicer_to_server, servicer)
    if config.metrics_listen:
        serve_metrics(config.metrics_listen)
        runtime.spawn("sampling metrics", Sampler(nats, health, runtime.samplers).run())

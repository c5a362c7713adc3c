"""``python -m autoisp_registry``: the registry."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2_grpc
from autoisp_runtime.freed_memory import keep_freed_memory
from autoisp_runtime.jetstream.topology import REGISTRY_CONVERSIONS, REGISTRY_EVALUATIONS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables

from autoisp_registry import tables
from autoisp_registry.api import RegistryServicer
from autoisp_registry.config import RegistryConfig
from autoisp_registry.rollouts.service import serve_rollouts
from autoisp_registry.wiring import wired


async def build(runtime: Runtime[RegistryConfig]) -> None:
    """Wire the service."""
    parts = wired(runtime)
    servicer = RegistryServicer(parts.use_cases)
    runtime.serve(registry_pb2_grpc.add_RegistryServiceServicer_to_server, servicer)
    runtime.consume(REGISTRY_EVALUATIONS, parts.bus.on_evaluation_completed, patient=True)
    runtime.consume(
        REGISTRY_CONVERSIONS,
        parts.bus.on_version_converted,
        patient=True,
        on_dead_letter=parts.bus.on_unusable_conversion,
    )
    await serve_rollouts(runtime)
    for name, task in parts.tasks:
        runtime.spawn(name, task)


def main() -> None:
    """Run until told to stop."""
    keep_freed_memory()  # downloads
    run_service(RegistryConfig, build, tables=Tables("autoisp_registry.migrations", tables.outbox))


if __name__ == "__main__":
    main()

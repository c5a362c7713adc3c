"""``python -m autoisp_registry``: the registry."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2_grpc
from autoisp_runtime.jetstream.topology import REGISTRY_EVALUATIONS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables
from autoisp_runtime.uploads import clear_spool

from autoisp_registry import tables
from autoisp_registry.api import RegistryServicer, UseCases
from autoisp_registry.bus import RegistryBus, StoredVersions, encode
from autoisp_registry.config import RegistryConfig
from autoisp_registry.store import SqlStore
from autoisp_registry.usecases import Models, Transfers, publish_earlier


async def build(runtime: Runtime[RegistryConfig]) -> None:
    """Wire the service."""
    config, artifacts = runtime.config, runtime.artifacts
    clear_spool(config.spool_dir)
    store = SqlStore(runtime.database, runtime.outbox, encode)
    versions = StoredVersions(artifacts)
    models = Models(store, artifacts, versions)
    transfers = Transfers(models, artifacts, config.spool_dir, config.max_artifact_bytes)
    servicer = RegistryServicer(UseCases(models, transfers))
    runtime.serve(registry_pb2_grpc.add_RegistryServiceServicer_to_server, servicer)
    runtime.consume(REGISTRY_EVALUATIONS, RegistryBus(models).on_evaluation_completed, patient=True)
    runtime.spawn("leaving earlier versions for others", publish_earlier(store, versions))


def main() -> None:
    """Run until told to stop."""
    run_service(RegistryConfig, build, tables=Tables("autoisp_registry.migrations", tables.outbox))


if __name__ == "__main__":
    main()

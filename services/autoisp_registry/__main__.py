"""``python -m autoisp_registry``: the registry."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2_grpc
from autoisp_runtime.jetstream.topology import REGISTRY_EVALUATIONS, Event
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables
from autoisp_runtime.uploads import clear_spool

from autoisp_registry import tables
from autoisp_registry.api import RegistryServicer, UseCases
from autoisp_registry.bus import RegistryBus, StoredVersions, encode
from autoisp_registry.config import RegistryConfig
from autoisp_registry.lineage.stored import StoredOrigins
from autoisp_registry.rollouts.service import serve_rollouts
from autoisp_registry.signing import open_keyring
from autoisp_registry.store import SqlFinder, SqlStore
from autoisp_registry.usecases import Models, Transfers, publish_earlier
from autoisp_registry.usecases.changes import Changes
from autoisp_registry.usecases.describing import Describing
from autoisp_registry.usecases.finding import Finding
from autoisp_registry.usecases.watching import Watching


async def build(runtime: Runtime[RegistryConfig]) -> None:
    """Wire the service."""
    config, artifacts = runtime.config, runtime.artifacts
    clear_spool(config.spool_dir)
    keyring = open_keyring(config.signing_key, config.default_signing_key, config.trusted_keys)
    changes = Changes()
    store = SqlStore(runtime.database, runtime.outbox, encode, changed=changes.announce)
    finder = SqlFinder(runtime.database)
    versions = StoredVersions(artifacts)
    models = Models(store, artifacts, versions)
    transfers = Transfers(models, artifacts, config.spool_dir, config.max_artifact_bytes)
    watching = Watching(store, finder, finder, changes)
    runtime.on_stopping(watching.stop)
    for event in (Event.MODEL_CHANGED, Event.CHANNEL_CHANGED):
        runtime.listen(event, changes.on_event)
    servicer = RegistryServicer(
        UseCases(
            models,
            transfers,
            keyring,
            Finding(finder, store),
            watching,
            Describing(models, StoredOrigins(artifacts)),
        )
    )
    runtime.serve(registry_pb2_grpc.add_RegistryServiceServicer_to_server, servicer)
    runtime.consume(REGISTRY_EVALUATIONS, RegistryBus(models).on_evaluation_completed, patient=True)
    await serve_rollouts(runtime)
    runtime.spawn("leaving earlier versions for others", publish_earlier(store, versions))


def main() -> None:
    """Run until told to stop."""
    run_service(RegistryConfig, build, tables=Tables("autoisp_registry.migrations", tables.outbox))


if __name__ == "__main__":
    main()

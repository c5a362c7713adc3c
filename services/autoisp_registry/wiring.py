"""Makes the registry's parts and puts them together."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from autoisp_runtime.jetstream import Event
from autoisp_runtime.runtime import Runtime
from autoisp_runtime.uploads import clear_spool

from autoisp_registry.api import UseCases
from autoisp_registry.bus import RegistryBus, StoredVersions, encode
from autoisp_registry.config import RegistryConfig
from autoisp_registry.datasets import StoredDatasets
from autoisp_registry.graph_check import IsolatedChecker
from autoisp_registry.lineage.stored import StoredOrigins
from autoisp_registry.ports import Message
from autoisp_registry.records import StoredRecords
from autoisp_registry.rollouts.versions import channels_serving
from autoisp_registry.signing import ManifestSigner, open_keyring
from autoisp_registry.store import SqlFinder, SqlStore
from autoisp_registry.usecases import (
    Adding,
    Aliases,
    Auditing,
    Conversions,
    Deleting,
    Editing,
    Judgements,
    Judging,
    Models,
    Promotion,
    Registering,
    Retention,
    RollingBack,
    Transfers,
    publish_earlier,
)
from autoisp_registry.usecases.changes import Changes
from autoisp_registry.usecases.describing import Describing
from autoisp_registry.usecases.finding import Finding
from autoisp_registry.usecases.watching import Watching


@dataclass(frozen=True)
class Parts:
    """What the process serves, hears, and does by itself."""

    use_cases: UseCases
    bus: RegistryBus
    tasks: list[tuple[str, Coroutine[Any, Any, object]]]


def wired(runtime: Runtime[RegistryConfig]) -> Parts:
    """The registry over a runtime."""
    config, artifacts = runtime.config, runtime.artifacts
    clear_spool(config.spool_dir)
    changes = Changes()
    store: SqlStore[Message] = SqlStore(
        runtime.database, runtime.outbox, encode, channels_serving, changed=changes.announce
    )
    finder = SqlFinder(runtime.database)
    watching = Watching(store, finder, finder, changes)
    runtime.on_stopping(watching.stop)
    for event in (Event.MODEL_CHANGED, Event.CHANNEL_CHANGED):
        runtime.listen(event, changes.on_event)
    keyring = open_keyring(config.signing_key, config.default_signing_key, config.trusted_keys)
    signer = ManifestSigner(keyring.active, artifacts)
    versions, datasets = StoredVersions(artifacts), StoredDatasets(artifacts)
    models = Models(store)
    checker = IsolatedChecker(artifacts, config.max_graph_bytes)
    adding = Adding(store, versions, signer, convert=config.convert)
    judging = Judging(StoredRecords(artifacts))
    registering = Registering(store, adding, artifacts, datasets, checker, judging)
    conversions = Conversions(store, datasets, signer, enabled=config.convert)
    use_cases = UseCases(
        models=models,
        registering=registering,
        editing=Editing(store),
        deleting=Deleting(store, timedelta(days=config.retention_days)),
        aliases=Aliases(store),
        promotion=Promotion(store, models, judging),
        rolling_back=RollingBack(store, models),
        conversions=conversions,
        auditing=Auditing(store),
        transfers=Transfers(models, artifacts, config.spool_dir, config.max_artifact_bytes),
        finding=Finding(finder, store),
        watching=watching,
        describing=Describing(models, StoredOrigins(artifacts)),
        keyring=keyring,
    )
    return Parts(
        use_cases,
        RegistryBus(registering, Judgements(store), conversions, artifacts),
        [
            ("leaving earlier versions for others", publish_earlier(store, finder, versions)),
            ("purging what was deleted", Retention(store, versions).run()),
        ],
    )

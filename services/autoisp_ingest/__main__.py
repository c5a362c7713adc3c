"""Runs the ingest service: ``python -m autoisp_ingest``."""

from __future__ import annotations

from autoisp.ingest.v1 import ingest_pb2_grpc
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables

from autoisp_ingest.api import IngestServicer
from autoisp_ingest.bus import ArtifactDatasetPublisher, clip_ingested
from autoisp_ingest.config import IngestConfig
from autoisp_ingest.sensor_profiles.service import serve_sensor_profiles
from autoisp_ingest.spooling import DiskSpool, owner_of
from autoisp_ingest.store import SqlIngestStore, ZarrFrameStore, outbox
from autoisp_ingest.usecases import Clips, Datasets, Housekeeping, Leftovers, NewClips, ReadFrames
from autoisp_ingest.ways_in import ways_in


async def build(runtime: Runtime[IngestConfig]) -> None:
    """Wire the service."""
    config = runtime.config
    owner = owner_of(config.work_dir)
    store = SqlIngestStore(runtime.database, runtime.outbox, clip_ingested)
    frames = ZarrFrameStore(runtime.store)
    publisher = ArtifactDatasetPublisher(runtime.artifacts)
    spool = DiskSpool(config.work_dir / "spool", config.spool_limits)
    leftovers = Leftovers(store, frames, publisher, owner)
    housekeeping = Housekeeping(spool, leftovers, config.housekeeping_seconds)
    await housekeeping.start()
    runtime.spawn("housekeeping", housekeeping.run())
    ways = ways_in(config, store, frames, spool, NewClips(store, leftovers, owner))
    clips = Clips(store, leftovers, owner)
    servicer = IngestServicer(ways, ReadFrames(clips, frames), clips, Datasets(store, publisher))
    runtime.serve(ingest_pb2_grpc.add_IngestServiceServicer_to_server, servicer)
    serve_sensor_profiles(runtime, store)


if __name__ == "__main__":
    run_service(IngestConfig, build, tables=Tables("autoisp_ingest.migrations", outbox))

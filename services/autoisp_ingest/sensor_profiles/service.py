"""Wires the sensor profiles into the process of the ingest service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from autoisp.ingest.v1 import sensor_profiles_pb2_grpc
from autoisp_runtime.runtime import Runtime

from autoisp_ingest.config import IngestConfig
from autoisp_ingest.sensor_profiles.api import SensorProfileServicer
from autoisp_ingest.sensor_profiles.calibrate import Calibrate
from autoisp_ingest.sensor_profiles.ports import ClipLookup
from autoisp_ingest.sensor_profiles.raw_frames import StoredRawReader
from autoisp_ingest.sensor_profiles.store import SqlSensorProfileStore
from autoisp_ingest.sensor_profiles.usecases import SensorProfiles


def serve_sensor_profiles(runtime: Runtime[IngestConfig], clips: ClipLookup) -> None:
    """Offer ``autoisp.ingest.v1.SensorProfileService`` beside the service of the clips."""
    # One at a time: a measurement uses the cores that decoding needs too.
    executor = ThreadPoolExecutor(1, thread_name_prefix="calibrate")
    calibrate = Calibrate(StoredRawReader(runtime.store), executor)
    profiles = SensorProfiles(SqlSensorProfileStore(runtime.database), clips, calibrate)
    runtime.serve(
        sensor_profiles_pb2_grpc.add_SensorProfileServiceServicer_to_server, SensorProfileServicer(profiles)
    )

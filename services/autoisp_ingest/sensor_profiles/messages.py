"""Between the domain and the wire contract."""

from __future__ import annotations

from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_ingest.sensor_profiles.domain import (
    Calibration,
    Measurement,
    Method,
    NewVersion,
    SensorProfileVersion,
    Source,
)

_SOURCES = {
    Source.TOML: wire.SensorProfileVersion.SOURCE_TOML,
    Source.LIBCAMERA: wire.SensorProfileVersion.SOURCE_LIBCAMERA,
    Source.METADATA: wire.SensorProfileVersion.SOURCE_METADATA,
    Source.CALIBRATION: wire.SensorProfileVersion.SOURCE_CALIBRATION,
}
_METHODS = {
    wire.CalibrationRequest.METHOD_STATIC_FRAMES: Method.STATIC_FRAMES,
    wire.CalibrationRequest.METHOD_FLAT_PATCHES: Method.FLAT_PATCHES,
}


def encode_version(version: SensorProfileVersion) -> wire.SensorProfileVersion:
    """As ``autoisp.ingest.v1.SensorProfileVersion``."""
    created = Timestamp()
    created.FromDatetime(version.create_time)
    return wire.SensorProfileVersion(
        name=version.name,
        toml=version.toml,
        source=_SOURCES[version.source],
        calibration=None if version.calibration is None else _encode_calibration(version.calibration),
        create_time=created,
    )


def decode_new_version(request: wire.CreateSensorProfileVersionRequest) -> NewVersion:
    """From a request to add a version; sources that are not set become None."""
    source = request.WhichOneof("source")
    return NewVersion(
        profile_id=request.profile_id,
        toml=request.toml if source == "toml" else None,
        libcamera=request.libcamera if source == "libcamera" else None,
        metadata_of=request.metadata_of if source == "metadata_of" else None,
        calibrate=_decode_measurement(request.calibrate) if source == "calibrate" else None,
        request_id=request.request_id,
    )


def _decode_measurement(request: wire.CalibrationRequest) -> Measurement:
    # A method of a later contract is left to the footage too: it can't be asked for here.
    return Measurement(tuple(request.clips), tuple(request.dark_clips), _METHODS.get(request.method))


def _encode_calibration(calibration: Calibration) -> wire.Calibration:
    return wire.Calibration(
        noise=common_pb2.Noise(shot=calibration.noise.shot, read=calibration.noise.read),
        shot_interval=calibration.shot_interval,
        read_interval=calibration.read_interval,
        r_squared=calibration.r_squared,
        black_level=calibration.black_level,
        white_level=calibration.white_level,
        method=calibration.method.value,
        means=calibration.means,
        variances=calibration.variances,
        counts=calibration.counts,
        clips=calibration.clips,
    )

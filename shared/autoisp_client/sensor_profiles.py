"""What the clients offer about sensor profiles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from autoisp.ingest.v1 import sensor_profiles_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.requests import request_id

EVERY_PROFILE = "sensorProfiles/-"
_MEASURING_SECONDS = 600.0
"""A deadline that the longest measurement keeps: it waits for others, and reads 32 frames."""


def new_version(
    profile_id: str, toml: str, libcamera: str, metadata_of: str, given_request_id: str
) -> wire.CreateSensorProfileVersionRequest:
    """The message of CreateSensorProfileVersion, with the source that is not empty."""
    request = wire.CreateSensorProfileVersionRequest(
        profile_id=profile_id, request_id=request_id(given_request_id)
    )
    for field, text in (("toml", toml), ("libcamera", libcamera), ("metadata_of", metadata_of)):
        if text:
            setattr(request, field, text)
    return request


def measurement(
    profile_id: str,
    clips: Sequence[str],
    dark_clips: Sequence[str],
    method: wire.CalibrationRequest.Method.ValueType,
    given_request_id: str,
) -> wire.CreateSensorProfileVersionRequest:
    """The message of CreateSensorProfileVersion that measures."""
    calibrate = wire.CalibrationRequest(clips=clips, dark_clips=dark_clips, method=method)
    return wire.CreateSensorProfileVersionRequest(
        profile_id=profile_id, calibrate=calibrate, request_id=request_id(given_request_id)
    )


class SensorProfileCalls:
    """The part of :class:`autoisp_client.Client` about sensor profiles."""

    _ingest: Connection
    _sensor_stub: sensor_profiles_pb2_grpc.SensorProfileServiceStub

    def create_sensor_profile_version(
        self,
        profile_id: str,
        *,
        toml: str = "",
        libcamera: str = "",
        metadata_of: str = "",
        request_id: str = "",
    ) -> wire.SensorProfileVersion:
        """Adds a version to ``sensorProfiles/{profile_id}``, which is made with its first version.

        Args:
            toml, libcamera, metadata_of: one of them: TOML text, the text of a libcamera tuning file, or the
                raw clip ``clips/{c}`` whose metadata is taken.
        """
        request = new_version(profile_id, toml, libcamera, metadata_of, request_id)
        return self._ingest.unary(self._sensor_stub.CreateSensorProfileVersion, request)

    def calibrate_sensor(
        self,
        profile_id: str,
        clips: Sequence[str],
        *,
        dark_clips: Sequence[str] = (),
        method: wire.CalibrationRequest.Method.ValueType = wire.CalibrationRequest.METHOD_UNSPECIFIED,
        request_id: str = "",
    ) -> wire.SensorProfileVersion:
        """Measures the noise of raw clips, and adds what it finds as a version.

        Args:
            clips: names of raw clips of one camera at one ISO.
            dark_clips: of the same camera, lens covered: for the black level.
        """
        request = measurement(profile_id, clips, dark_clips, method, request_id)
        call = self._sensor_stub.CreateSensorProfileVersion
        return self._ingest.unary(call, request, deadline=_MEASURING_SECONDS)

    def get_sensor_profile_version(self, name: str) -> wire.SensorProfileVersion:
        """The version ``sensorProfiles/{p}/versions/{v}``, or the newest of ``sensorProfiles/{p}``."""
        request = wire.GetSensorProfileVersionRequest(name=name)
        return self._ingest.unary(self._sensor_stub.GetSensorProfileVersion, request)

    def list_sensor_profile_versions(
        self, parent: str = EVERY_PROFILE, *, page_size: int = 0
    ) -> Iterator[wire.SensorProfileVersion]:
        """All versions of ``sensorProfiles/{p}``, newest first; by default the newest of every profile."""
        request = wire.ListSensorProfileVersionsRequest(parent=parent, page_size=page_size)
        call = self._sensor_stub.ListSensorProfileVersions
        return self._ingest.pages(call, request, lambda page: page.sensor_profile_versions)

    def delete_sensor_profile(self, name: str) -> None:
        """Deletes a profile with all its versions."""
        request = wire.DeleteSensorProfileRequest(name=name)
        self._ingest.unary(self._sensor_stub.DeleteSensorProfile, request)


class AsyncSensorProfileCalls:
    """The part of :class:`autoisp_client.AsyncClient` about sensor profiles."""

    _ingest: AsyncConnection
    _sensor_stub: sensor_profiles_pb2_grpc.SensorProfileServiceAsyncStub

    async def create_sensor_profile_version(
        self,
        profile_id: str,
        *,
        toml: str = "",
        libcamera: str = "",
        metadata_of: str = "",
        request_id: str = "",
    ) -> wire.SensorProfileVersion:
        """As :meth:`autoisp_client.Client.create_sensor_profile_version`."""
        request = new_version(profile_id, toml, libcamera, metadata_of, request_id)
        return await self._ingest.unary(self._sensor_stub.CreateSensorProfileVersion, request)

    async def calibrate_sensor(
        self,
        profile_id: str,
        clips: Sequence[str],
        *,
        dark_clips: Sequence[str] = (),
        method: wire.CalibrationRequest.Method.ValueType = wire.CalibrationRequest.METHOD_UNSPECIFIED,
        request_id: str = "",
    ) -> wire.SensorProfileVersion:
        """As :meth:`autoisp_client.Client.calibrate_sensor`."""
        request = measurement(profile_id, clips, dark_clips, method, request_id)
        call = self._sensor_stub.CreateSensorProfileVersion
        return await self._ingest.unary(call, request, deadline=_MEASURING_SECONDS)

    async def get_sensor_profile_version(self, name: str) -> wire.SensorProfileVersion:
        """The version ``sensorProfiles/{p}/versions/{v}``, or the newest of ``sensorProfiles/{p}``."""
        request = wire.GetSensorProfileVersionRequest(name=name)
        return await self._ingest.unary(self._sensor_stub.GetSensorProfileVersion, request)

    def list_sensor_profile_versions(
        self, parent: str = EVERY_PROFILE, *, page_size: int = 0
    ) -> AsyncIterator[wire.SensorProfileVersion]:
        """All versions of ``sensorProfiles/{p}``, newest first; by default the newest of every profile."""
        request = wire.ListSensorProfileVersionsRequest(parent=parent, page_size=page_size)
        call = self._sensor_stub.ListSensorProfileVersions
        return self._ingest.pages(call, request, lambda page: page.sensor_profile_versions)

    async def delete_sensor_profile(self, name: str) -> None:
        """Deletes a profile with all its versions."""
        request = wire.DeleteSensorProfileRequest(name=name)
        await self._ingest.unary(self._sensor_stub.DeleteSensorProfile, request)

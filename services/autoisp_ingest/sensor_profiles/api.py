"""The gRPC servicer: decode, call the use case, encode. Errors are translated by the server's interceptor."""

from __future__ import annotations

from typing import Any

from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from autoisp.ingest.v1 import sensor_profiles_pb2_grpc
from google.protobuf.empty_pb2 import Empty

from autoisp_ingest.sensor_profiles.messages import decode_new_version, encode_version
from autoisp_ingest.sensor_profiles.usecases import SensorProfiles


class SensorProfileServicer(sensor_profiles_pb2_grpc.SensorProfileServiceServicer):
    """``autoisp.ingest.v1.SensorProfileService``."""

    def __init__(self, profiles: SensorProfiles) -> None:
        self._profiles = profiles

    async def CreateSensorProfileVersion(  # noqa: N802
        self, request: wire.CreateSensorProfileVersionRequest, context: Any
    ) -> wire.SensorProfileVersion:
        return encode_version(await self._profiles.create(decode_new_version(request)))

    async def GetSensorProfileVersion(  # noqa: N802
        self, request: wire.GetSensorProfileVersionRequest, context: Any
    ) -> wire.SensorProfileVersion:
        return encode_version(await self._profiles.get(request.name))

    async def ListSensorProfileVersions(  # noqa: N802
        self, request: wire.ListSensorProfileVersionsRequest, context: Any
    ) -> wire.ListSensorProfileVersionsResponse:
        page = await self._profiles.list(request.parent, request.page_size, request.page_token)
        return wire.ListSensorProfileVersionsResponse(
            sensor_profile_versions=[encode_version(version) for version in page.items],
            next_page_token=page.next_page_token,
        )

    async def DeleteSensorProfile(  # noqa: N802
        self, request: wire.DeleteSensorProfileRequest, context: Any
    ) -> Empty:
        await self._profiles.delete(request.name)
        return Empty()

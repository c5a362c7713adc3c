"""Bytes in and out, and the keys that vouch for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError, UnimplementedError
from autoisp_runtime.uploads import open_upload

from autoisp_registry import wire
from autoisp_registry.api.use_cases import Area
from autoisp_registry.usecases.transfers import Announced


class TransfersArea(Area):
    """RPCs of artifacts."""

    async def UploadArtifact(  # noqa: N802
        self, request_iterator: AsyncIterator[registry_pb2.UploadArtifactRequest], context: Any
    ) -> common_pb2.Artifact:
        """Take in bytes: a header, then chunks."""
        header, chunks = await open_upload(request_iterator)
        announced = Announced(header.media_type, header.size_bytes, header.sha256)
        return wire.artifact_to(await self._use_cases.transfers.upload(announced, chunks))

    async def DownloadArtifact(  # noqa: N802
        self, request: registry_pb2.DownloadArtifactRequest, context: Any
    ) -> AsyncIterator[registry_pb2.DownloadArtifactResponse]:
        """Hand out bytes: their description, then chunks."""
        match request.WhichOneof("source"):
            case "model_version":
                artifact = await self._use_cases.transfers.find_version(request.model_version)
            case "sha256":
                artifact = await self._use_cases.transfers.find_digest(request.sha256)
            case _:
                raise InvalidArgumentError("source", "say what to download: set model_version or sha256")
        yield registry_pb2.DownloadArtifactResponse(artifact=wire.artifact_to(artifact))
        async for chunk in self._use_cases.transfers.stream(artifact):
            yield registry_pb2.DownloadArtifactResponse(chunk=chunk)

    async def ListSigningKeys(  # noqa: N802
        self, request: registry_pb2.ListSigningKeysRequest, context: Any
    ) -> registry_pb2.ListSigningKeysResponse:
        """Keys whose signatures are good."""
        raise UnimplementedError("ListSigningKeys is not offered yet")

"""Bytes in and out, and the keys that vouch for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError
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
                artifact = await self._use_cases.transfers.find_version(request.model_version, request.format)
            case "sha256" if request.format:
                raise InvalidArgumentError("format", "a digest names one file; leave the format empty")
            case "sha256":
                artifact = await self._use_cases.transfers.find_digest(request.sha256)
            case _:
                raise InvalidArgumentError("source", "say what to download: set model_version or sha256")
        chunks = self._use_cases.transfers.stream(artifact, request.offset, request.length)
        yield registry_pb2.DownloadArtifactResponse(artifact=wire.artifact_to(artifact))
        async for chunk in chunks:
            yield registry_pb2.DownloadArtifactResponse(chunk=chunk)

    async def ListSigningKeys(  # noqa: N802
        self, request: registry_pb2.ListSigningKeysRequest, context: Any
    ) -> registry_pb2.ListSigningKeysResponse:
        """Keys whose signatures are good."""
        keyring = self._use_cases.keyring
        return registry_pb2.ListSigningKeysResponse(
            keys=[
                registry_pb2.SigningKey(
                    key_id=key.key_id, public_key=key.pem, active=key == keyring.active.public
                )
                for key in keyring.public
            ]
        )

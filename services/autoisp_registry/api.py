"""gRPC: decode, call the use case, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_core.errors import InvalidArgumentError
from autoisp_runtime.uploads import open_upload

from autoisp_registry import wire
from autoisp_registry.usecases import Models, Transfers
from autoisp_registry.usecases.transfers import Announced


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """``autoisp.registry.v1.RegistryService``; errors are translated by the server's interceptor."""

    def __init__(self, models: Models, transfers: Transfers) -> None:
        self._models = models
        self._transfers = transfers

    async def GetModel(  # noqa: N802 - gRPC's name
        self, request: registry_pb2.GetModelRequest, context: Any
    ) -> registry_pb2.Model:
        """One model with its aliases."""
        return wire.model_to(await self._models.get_model(request.name))

    async def ListModels(  # noqa: N802
        self, request: registry_pb2.ListModelsRequest, context: Any
    ) -> registry_pb2.ListModelsResponse:
        """A page of models, oldest first."""
        page = await self._models.list_models(request.page_size, request.page_token)
        return registry_pb2.ListModelsResponse(
            models=[wire.model_to(model) for model in page.items], next_page_token=page.next_page_token
        )

    async def RegisterModelVersion(  # noqa: N802
        self, request: registry_pb2.RegisterModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """Register a network that was made elsewhere."""
        version = await self._models.register(
            request.parent, wire.content_from(request.model_version, "model_version"), request.request_id
        )
        return wire.version_to(version)

    async def GetModelVersion(  # noqa: N802
        self, request: registry_pb2.GetModelVersionRequest, context: Any
    ) -> registry_pb2.ModelVersion:
        """A version by number, by alias, or the latest."""
        return wire.version_to(await self._models.get_version(request.name))

    async def ListModelVersions(  # noqa: N802
        self, request: registry_pb2.ListModelVersionsRequest, context: Any
    ) -> registry_pb2.ListModelVersionsResponse:
        """A page of a model's versions, by number."""
        page = await self._models.list_versions(request.parent, request.page_size, request.page_token)
        return registry_pb2.ListModelVersionsResponse(
            model_versions=[wire.version_to(version) for version in page.items],
            next_page_token=page.next_page_token,
        )

    async def SetAlias(  # noqa: N802
        self, request: registry_pb2.SetAliasRequest, context: Any
    ) -> registry_pb2.Model:
        """Point an alias at a version."""
        return wire.model_to(
            await self._models.set_alias(request.model, request.alias, request.version, request.etag)
        )

    async def UploadArtifact(  # noqa: N802
        self, request_iterator: AsyncIterator[registry_pb2.UploadArtifactRequest], context: Any
    ) -> common_pb2.Artifact:
        """Take in bytes: a header, then chunks."""
        header, chunks = await open_upload(request_iterator)
        announced = Announced(header.media_type, header.size_bytes, header.sha256)
        return wire.artifact_to(await self._transfers.upload(announced, chunks))

    async def DownloadArtifact(  # noqa: N802
        self, request: registry_pb2.DownloadArtifactRequest, context: Any
    ) -> AsyncIterator[registry_pb2.DownloadArtifactResponse]:
        """Hand out bytes: their description, then chunks."""
        match request.WhichOneof("source"):
            case "model_version":
                artifact = await self._transfers.find_version(request.model_version)
            case "sha256":
                artifact = await self._transfers.find_digest(request.sha256)
            case _:
                raise InvalidArgumentError("source", "say what to download: set model_version or sha256")
        chunks = self._transfers.stream(artifact, request.offset, request.length)
        yield registry_pb2.DownloadArtifactResponse(artifact=wire.artifact_to(artifact))
        async for chunk in chunks:
            yield registry_pb2.DownloadArtifactResponse(chunk=chunk)

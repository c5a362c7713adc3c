"""What the clients offer about models and artifacts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc

from autoisp_client import requests
from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.download import VerifiedFile
from autoisp_client.payload import file_payload


class ModelCalls:
    """The part of :class:`autoisp_client.Client` about models and artifacts."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

    def get_model(self, name: str) -> registry_pb2.Model:
        """The model ``models/{m}``."""
        return self._registry.unary(self._registry_stub.GetModel, registry_pb2.GetModelRequest(name=name))

    def list_models(self, *, page_size: int = 0) -> Iterator[registry_pb2.Model]:
        """All models."""
        request = registry_pb2.ListModelsRequest(page_size=page_size)
        return self._registry.pages(self._registry_stub.ListModels, request, lambda page: page.models)

    def register_model_version(
        self, model: str, version: registry_pb2.ModelVersion, *, request_id: str = ""
    ) -> registry_pb2.ModelVersion:
        """Adds an immutable version to ``models/{m}``, which is made with its first version."""
        request = registry_pb2.RegisterModelVersionRequest(
            parent=model, model_version=version, request_id=requests.request_id(request_id)
        )
        return self._registry.unary(self._registry_stub.RegisterModelVersion, request)

    def get_model_version(self, name: str) -> registry_pb2.ModelVersion:
        """The version ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``."""
        request = registry_pb2.GetModelVersionRequest(name=name)
        return self._registry.unary(self._registry_stub.GetModelVersion, request)

    def list_model_versions(self, model: str, *, page_size: int = 0) -> Iterator[registry_pb2.ModelVersion]:
        """All versions of ``models/{m}``."""
        request = registry_pb2.ListModelVersionsRequest(parent=model, page_size=page_size)
        call = self._registry_stub.ListModelVersions
        return self._registry.pages(call, request, lambda page: page.model_versions)

    def set_alias(self, model: str, alias: str, version: int, *, etag: str = "") -> registry_pb2.Model:
        """Points a name such as ``champion`` at a version; with ``etag`` only if nobody was faster."""
        request = registry_pb2.SetAliasRequest(model=model, alias=alias, version=version, etag=etag)
        # Repeated with an etag, a call that had succeeded unheard would fail.
        return self._registry.unary(self._registry_stub.SetAlias, request, repeat=not etag)

    def upload_artifact(
        self, path: Path | str, *, media_type: str = "application/onnx"
    ) -> common_pb2.Artifact:
        """Uploads a file, such as a prototype's ONNX graph; the same bytes give the same artifact."""
        payload = file_payload(Path(path))
        return self._registry.attempt(
            lambda: self._registry_stub.UploadArtifact(requests.artifact_upload(payload, media_type))
        )

    def download(self, to: Path | str, *, model_version: str = "", sha256: str = "") -> common_pb2.Artifact:
        """Writes a version's ONNX file, or any artifact by its digest, to the path ``to``.

        The file appears complete and verified, or not at all.

        Raises:
            DataLossError: what arrived is not what was asked for.
            ResourceExhaustedError: the disk is full.
        """
        request = requests.download_request(model_version, sha256)

        def once() -> common_pb2.Artifact:
            artifact = common_pb2.Artifact()
            with VerifiedFile(Path(to)) as file:
                for part in self._registry.stream(self._registry_stub.DownloadArtifact, request):
                    if part.WhichOneof("payload") == "artifact":
                        artifact = part.artifact
                    else:
                        file.write(part.chunk)
                file.commit(artifact, sha256)
            return artifact

        return self._registry.attempt(once)


class AsyncModelCalls:
    """The part of :class:`autoisp_client.AsyncClient` about models and artifacts."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

    async def get_model(self, name: str) -> registry_pb2.Model:
        """The model ``models/{m}``."""
        return await self._registry.unary(
            self._registry_stub.GetModel, registry_pb2.GetModelRequest(name=name)
        )

    def list_models(self, *, page_size: int = 0) -> AsyncIterator[registry_pb2.Model]:
        """All models."""
        request = registry_pb2.ListModelsRequest(page_size=page_size)
        return self._registry.pages(self._registry_stub.ListModels, request, lambda page: page.models)

    async def register_model_version(
        self, model: str, version: registry_pb2.ModelVersion, *, request_id: str = ""
    ) -> registry_pb2.ModelVersion:
        """Adds an immutable version to ``models/{m}``, which is made with its first version."""
        request = registry_pb2.RegisterModelVersionRequest(
            parent=model, model_version=version, request_id=requests.request_id(request_id)
        )
        return await self._registry.unary(self._registry_stub.RegisterModelVersion, request)

    async def get_model_version(self, name: str) -> registry_pb2.ModelVersion:
        """The version ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``."""
        request = registry_pb2.GetModelVersionRequest(name=name)
        return await self._registry.unary(self._registry_stub.GetModelVersion, request)

    def list_model_versions(
        self, model: str, *, page_size: int = 0
    ) -> AsyncIterator[registry_pb2.ModelVersion]:
        """All versions of ``models/{m}``."""
        request = registry_pb2.ListModelVersionsRequest(parent=model, page_size=page_size)
        call = self._registry_stub.ListModelVersions
        return self._registry.pages(call, request, lambda page: page.model_versions)

    async def set_alias(self, model: str, alias: str, version: int, *, etag: str = "") -> registry_pb2.Model:
        """Points a name such as ``champion`` at a version; with ``etag`` only if nobody was faster."""
        request = registry_pb2.SetAliasRequest(model=model, alias=alias, version=version, etag=etag)
        # Repeated with an etag, a call that had succeeded unheard would fail.
        return await self._registry.unary(self._registry_stub.SetAlias, request, repeat=not etag)

    async def upload_artifact(
        self, path: Path | str, *, media_type: str = "application/onnx"
    ) -> common_pb2.Artifact:
        """Uploads a file, such as a prototype's ONNX graph; the same bytes give the same artifact."""
        payload = await asyncio.to_thread(file_payload, Path(path))
        return await self._registry.attempt(
            lambda: self._registry_stub.UploadArtifact(requests.artifact_upload(payload, media_type))
        )

    async def download(
        self, to: Path | str, *, model_version: str = "", sha256: str = ""
    ) -> common_pb2.Artifact:
        """Writes a version's ONNX file, or any artifact by its digest, to the path ``to``.

        The file appears complete and verified, or not at all.

        Raises:
            DataLossError: what arrived is not what was asked for.
            ResourceExhaustedError: the disk is full.
        """
        request = requests.download_request(model_version, sha256)

        async def once() -> common_pb2.Artifact:
            artifact = common_pb2.Artifact()
            with VerifiedFile(Path(to)) as file:
                async for part in self._registry.stream(self._registry_stub.DownloadArtifact, request):
                    if part.WhichOneof("payload") == "artifact":
                        artifact = part.artifact
                    else:
                        file.write(part.chunk)
                file.commit(artifact, sha256)
            return artifact

        return await self._registry.attempt(once)

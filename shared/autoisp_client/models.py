"""What the clients offer about models and artifacts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_client import requests
from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.download import VerifiedFile
from autoisp_client.payload import file_payload
from autoisp_client.registry import AsyncRegistryCalls, RegistryCalls


class ModelCalls(RegistryCalls):
    """The part of :class:`autoisp_client.Client` about models and artifacts."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

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


class AsyncModelCalls(AsyncRegistryCalls):
    """The part of :class:`autoisp_client.AsyncClient` about models and artifacts."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

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

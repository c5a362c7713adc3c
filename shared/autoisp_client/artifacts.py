"""What the clients offer about artifacts: a version's files, and what a version is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_core.release.checking import Release

from autoisp_client import requests
from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.download import Download, OnDownloadProgress
from autoisp_client.mlflow_format import MODEL_FILE, require_onnx, write_mlflow_model
from autoisp_client.payload import file_payload
from autoisp_client.registry import AsyncRegistryCalls, RegistryCalls
from autoisp_client.release import ReleaseFolder, keys_of, trusted_keys

T = TypeVar("T")


class ArtifactCalls(RegistryCalls):
    """The part of :class:`autoisp_client.Client` about artifacts."""

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

    def download(
        self,
        to: Path | str,
        *,
        model_version: str = "",
        sha256: str = "",
        format: str = "",
        on_progress: OnDownloadProgress | None = None,
    ) -> common_pb2.Artifact:
        """Writes a file of a version, or any artifact by its digest, to the path ``to``.

        The file appears complete and verified, or not at all. What has come of one that broke off waits
        beside it as ``.{sha256}.part``; the next call goes on from there, also in another process.

        Args:
            to: made with its folder, or replaced.
            model_version: ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``.
            sha256: instead of ``model_version``.
            format: of the version, such as ``onnx-int8``; empty: its ONNX file; ``manifest``: the signed
                manifest.
            on_progress: told after each chunk.

        Raises:
            DataLossError: what arrived is not what was asked for.
            ResourceExhaustedError: the disk is full.
        """
        request = requests.download_request(model_version, sha256, format)
        with Download(Path(to), request, self._registry, on_progress) as job:

            def once() -> common_pb2.Artifact:
                while True:
                    call = self._registry_stub.DownloadArtifact
                    responses = self._registry.stream(call, job.next_request())
                    with closing(responses):
                        for response in responses:
                            if not job.take(response):
                                break
                    if job.finished():
                        return job.artifact

            return self._registry.attempt(once, pause=job.pause)

    def download_release(
        self,
        folder: Path | str,
        model_version: str,
        *,
        formats: Sequence[str] = (),
        keys: Sequence[Path | str] = (),
        on_progress: OnDownloadProgress | None = None,
    ) -> Release:
        """Gets the files of a version with their signed manifest into a folder, and checks them.

        What is there already is not fetched again. ``manifest.json`` comes last, when all is right.

        Args:
            folder: made if missing.
            model_version: ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``.
            formats: such as ``onnx-int8``; empty: all that the version has.
            keys: PEM files of public keys, one of which must have signed it. Without any, those that the
                registry names are believed: that tells damage from what it meant to send, but trusts whoever
                answers now. Keep the key that signed (``release.key.pem``) and give it from then on.
            on_progress: told of each file after each chunk.

        Raises:
            DataLossError: no trusted key signed the manifest, or bytes are others than it says.
            NotFoundError: the version is not signed, or has no such format.
            ResourceExhaustedError: the disk is full.
        """
        trusted = trusted_keys(keys) or keys_of(
            self._registry.unary(self._registry_stub.ListSigningKeys, registry_pb2.ListSigningKeysRequest())
        )
        version = self.get_model_version(model_version)
        release = ReleaseFolder(Path(folder), version, trusted, formats)
        self.download(release.new_manifest, sha256=release.manifest_sha256)
        for file in release.missing():
            self.download(release.path(file), sha256=file.sha256, on_progress=on_progress)
        return release.finish()

    def export_mlflow(
        self, folder: Path | str, model_version: str, *, format: str = ""
    ) -> registry_pb2.ModelVersion:
        """Writes a version as a folder in MLflow's model format: ``MLmodel``, ``model.onnx``, environments.

        Args:
            folder: made if missing.
            model_version: ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``.
            format: an ONNX form of it, such as ``onnx-int8``; empty: the registered file.

        Raises:
            InvalidArgumentError: the format is not ONNX.
            ResourceExhaustedError: the disk is full.
        """
        require_onnx(format)
        version = self.get_model_version(model_version)
        self.download(Path(folder) / MODEL_FILE, model_version=version.name, format=format)
        write_mlflow_model(Path(folder), version, format)
        return version


class AsyncArtifactCalls(AsyncRegistryCalls):
    """The part of :class:`autoisp_client.AsyncClient` about artifacts."""

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
        self,
        to: Path | str,
        *,
        model_version: str = "",
        sha256: str = "",
        format: str = "",
        on_progress: OnDownloadProgress | None = None,
    ) -> common_pb2.Artifact:
        """Writes a file of a version, or any artifact by its digest, to the path ``to``.

        As :meth:`autoisp_client.Client.download`; ``on_progress`` is called by another thread.
        """
        request = requests.download_request(model_version, sha256, format)
        with Download(Path(to), request, self._registry, on_progress) as job:

            async def once() -> common_pb2.Artifact:
                while True:
                    call = self._registry_stub.DownloadArtifact
                    responses = self._registry.stream(call, job.next_request())
                    async with aclosing(responses):
                        async for response in responses:
                            if not await _in_thread(partial(job.take, response)):
                                break
                    if await _in_thread(job.finished):
                        return job.artifact

            return await self._registry.attempt(once, pause=job.pause)

    async def download_release(
        self,
        folder: Path | str,
        model_version: str,
        *,
        formats: Sequence[str] = (),
        keys: Sequence[Path | str] = (),
        on_progress: OnDownloadProgress | None = None,
    ) -> Release:
        """Gets the files of a version with their signed manifest into a folder, and checks them.

        As :meth:`autoisp_client.Client.download_release`.
        """
        trusted = trusted_keys(keys) or keys_of(
            await self._registry.unary(
                self._registry_stub.ListSigningKeys, registry_pb2.ListSigningKeysRequest()
            )
        )
        version = await self.get_model_version(model_version)
        release = ReleaseFolder(Path(folder), version, trusted, formats)
        await self.download(release.new_manifest, sha256=release.manifest_sha256)
        for file in await _in_thread(release.missing):
            await self.download(release.path(file), sha256=file.sha256, on_progress=on_progress)
        return await _in_thread(release.finish)

    async def export_mlflow(
        self, folder: Path | str, model_version: str, *, format: str = ""
    ) -> registry_pb2.ModelVersion:
        """Writes a version as a folder in MLflow's model format; see :meth:`Client.export_mlflow`."""
        require_onnx(format)
        version = await self.get_model_version(model_version)
        await self.download(Path(folder) / MODEL_FILE, model_version=version.name, format=format)
        await _in_thread(partial(write_mlflow_model, Path(folder), version, format))
        return version


async def _in_thread(work: Callable[[], T]) -> T:
    """Runs ``work`` in a thread, to its end even if the task is cancelled: none may write a closed file."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise

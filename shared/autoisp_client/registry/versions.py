"""What the clients offer about versions of models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.registry import messages
from autoisp_client.registry.messages import EVERY_MODEL, Tags
from autoisp_client.requests import request_id as request_id_of


class VersionCalls:
    """The part of :class:`autoisp_client.Client` about versions."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

    def register_model_version(
        self, model: str, version: wire.ModelVersion, *, request_id: str = ""
    ) -> wire.ModelVersion:
        """Adds an immutable version to ``models/{m}``, which is made with its first version."""
        request = wire.RegisterModelVersionRequest(
            parent=model, model_version=version, request_id=request_id_of(request_id)
        )
        return self._registry.unary(self._registry_stub.RegisterModelVersion, request)

    def get_model_version(self, name: str) -> wire.ModelVersion:
        """The version ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``."""
        request = wire.GetModelVersionRequest(name=name)
        return self._registry.unary(self._registry_stub.GetModelVersion, request)

    def list_model_versions(
        self,
        model: str = EVERY_MODEL,
        *,
        filter: str = "",
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
    ) -> Iterator[wire.ModelVersion]:
        """All versions of ``models/{m}`` or of all models, or those that the text ``filter`` lets through.

        Args:
            filter: such as ``metrics.psnr_model > 30 AND cost.macs_per_pixel < 3600``.
            order_by: ``create_time``, ``metrics.NAME`` or ``cost.NAME``, with `` desc`` after it; empty:
                oldest first.

        Raises:
            InvalidArgumentError: field ``filter`` or ``order_by``, with the place in the text.
        """
        request = messages.version_list(model, filter, order_by, show_deleted, page_size)
        call = self._registry_stub.ListModelVersions
        return self._registry.pages(call, request, lambda page: page.model_versions)

    def update_model_version(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Tags = {},  # noqa: B006 - only read
        etag: str = "",
    ) -> wire.ModelVersion:
        """Changes what is not None of a version, which is named by number.

        Args:
            tags: those to set; the value None removes one, and those not named stay.
            etag: if given, only if nobody was faster.
        """
        request = messages.version_change(name, description, tags, etag)
        return self._registry.unary(self._registry_stub.UpdateModelVersion, request, repeat=not etag)

    def delete_model_version(self, name: str, *, etag: str = "") -> wire.ModelVersion:
        """Hides a version until its ``purge_time``; refused while an alias or a channel points at it."""
        request = wire.DeleteModelVersionRequest(name=name, etag=etag)
        return self._registry.unary(self._registry_stub.DeleteModelVersion, request, repeat=not etag)

    def undelete_model_version(self, name: str) -> wire.ModelVersion:
        """Brings back a deleted version."""
        request = wire.UndeleteModelVersionRequest(name=name)
        return self._registry.unary(self._registry_stub.UndeleteModelVersion, request)

    def convert_model_version(
        self, name: str, *, formats: Sequence[str] = (), dataset: str = ""
    ) -> wire.ModelVersion:
        """Makes a version's edge formats again; the conversion goes on after the call returns.

        Args:
            formats: such as ``onnx-int8``; empty: all that the installation makes.
            dataset: ``datasets/{d}`` to calibrate and judge with; empty: that of the version's lineage.
        """
        request = wire.ConvertModelVersionRequest(name=name, formats=formats, dataset=dataset)
        return self._registry.unary(self._registry_stub.ConvertModelVersion, request)


class AsyncVersionCalls:
    """The part of :class:`autoisp_client.AsyncClient` about versions."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

    async def register_model_version(
        self, model: str, version: wire.ModelVersion, *, request_id: str = ""
    ) -> wire.ModelVersion:
        """Adds an immutable version to ``models/{m}``, which is made with its first version."""
        request = wire.RegisterModelVersionRequest(
            parent=model, model_version=version, request_id=request_id_of(request_id)
        )
        return await self._registry.unary(self._registry_stub.RegisterModelVersion, request)

    async def get_model_version(self, name: str) -> wire.ModelVersion:
        """The version ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias or ``latest``."""
        request = wire.GetModelVersionRequest(name=name)
        return await self._registry.unary(self._registry_stub.GetModelVersion, request)

    def list_model_versions(
        self,
        model: str = EVERY_MODEL,
        *,
        filter: str = "",
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
    ) -> AsyncIterator[wire.ModelVersion]:
        """As :meth:`autoisp_client.Client.list_model_versions`."""
        request = messages.version_list(model, filter, order_by, show_deleted, page_size)
        call = self._registry_stub.ListModelVersions
        return self._registry.pages(call, request, lambda page: page.model_versions)

    async def update_model_version(
        self,
        name: str,
        *,
        description: str | None = None,
        tags: Tags = {},  # noqa: B006 - only read
        etag: str = "",
    ) -> wire.ModelVersion:
        """As :meth:`autoisp_client.Client.update_model_version`."""
        request = messages.version_change(name, description, tags, etag)
        return await self._registry.unary(self._registry_stub.UpdateModelVersion, request, repeat=not etag)

    async def delete_model_version(self, name: str, *, etag: str = "") -> wire.ModelVersion:
        """As :meth:`autoisp_client.Client.delete_model_version`."""
        request = wire.DeleteModelVersionRequest(name=name, etag=etag)
        return await self._registry.unary(self._registry_stub.DeleteModelVersion, request, repeat=not etag)

    async def undelete_model_version(self, name: str) -> wire.ModelVersion:
        """Brings back a deleted version."""
        request = wire.UndeleteModelVersionRequest(name=name)
        return await self._registry.unary(self._registry_stub.UndeleteModelVersion, request)

    async def convert_model_version(
        self, name: str, *, formats: Sequence[str] = (), dataset: str = ""
    ) -> wire.ModelVersion:
        """As :meth:`autoisp_client.Client.convert_model_version`."""
        request = wire.ConvertModelVersionRequest(name=name, formats=formats, dataset=dataset)
        return await self._registry.unary(self._registry_stub.ConvertModelVersion, request)

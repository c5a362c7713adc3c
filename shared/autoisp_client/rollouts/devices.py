"""What the clients offer to devices and their gateways."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp.registry.v1 import rollouts_pb2 as wire
from autoisp.registry.v1 import rollouts_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection


class DeviceCalls:
    """The part of :class:`autoisp_client.Client` that devices use."""

    _registry: Connection
    _rollout_stub: rollouts_pb2_grpc.RolloutServiceStub

    def resolve_model(
        self,
        channel: str,
        device_id: str,
        *,
        device_profile: str = "",
        app_version: str = "",
        current_version: int = 0,
        formats: Sequence[str] = (),
    ) -> wire.ResolveModelResponse:
        """Which version a device is to run; the same answer until the channel changes.

        Args:
            channel: ``products/{p}/channels/{c}``.
            device_id: stable, 1 to 256 characters; not stored.
            device_profile: such as ``phone-npu-10``; empty: unknown.
            app_version: such as ``3.14.1``; empty: unknown.
            current_version: the number of the version that it runs; 0: none.
            formats: that it can run, the best first; empty: ``onnx-fp32``.

        Raises:
            NotFoundError: there is no such channel, or nothing in it for this device.
        """
        request = wire.ResolveModelRequest(
            channel=channel,
            device_id=device_id,
            device_profile=device_profile,
            app_version=app_version,
            current_version=current_version,
            formats=formats,
        )
        return self._registry.unary(self._rollout_stub.ResolveModel, request)

    def batch_resolve_models(
        self, requests: Sequence[wire.ResolveModelRequest]
    ) -> list[wire.BatchResolveModelsResponse.Result]:
        """As :meth:`resolve_model` for up to 1000 devices: an answer or a failure for each, in order."""
        request = wire.BatchResolveModelsRequest(requests=requests)
        return list(self._registry.unary(self._rollout_stub.BatchResolveModels, request).results)

    def report_outcome(
        self, channel: str, rollout_id: str, device_id: str, *, failed: bool = False, reason: str = ""
    ) -> bool:
        """Tells how a rollout's version does on a device; counted once per device that is in the rollout.

        Args:
            rollout_id: as :meth:`resolve_model` answered it.
            reason: of a failure, in UPPER_SNAKE_CASE: ``LOAD_FAILED``.

        Returns:
            Whether the device had better resolve again: the rollout is halted, over, or not for it.
        """
        request = wire.ReportOutcomeRequest(
            channel=channel, rollout_id=rollout_id, device_id=device_id, failed=failed, reason=reason
        )
        return self._registry.unary(self._rollout_stub.ReportOutcome, request).resolve_again


class AsyncDeviceCalls:
    """The part of :class:`autoisp_client.AsyncClient` that devices use."""

    _registry: AsyncConnection
    _rollout_stub: rollouts_pb2_grpc.RolloutServiceAsyncStub

    async def resolve_model(
        self,
        channel: str,
        device_id: str,
        *,
        device_profile: str = "",
        app_version: str = "",
        current_version: int = 0,
        formats: Sequence[str] = (),
    ) -> wire.ResolveModelResponse:
        """As :meth:`autoisp_client.Client.resolve_model`."""
        request = wire.ResolveModelRequest(
            channel=channel,
            device_id=device_id,
            device_profile=device_profile,
            app_version=app_version,
            current_version=current_version,
            formats=formats,
        )
        return await self._registry.unary(self._rollout_stub.ResolveModel, request)

    async def batch_resolve_models(
        self, requests: Sequence[wire.ResolveModelRequest]
    ) -> list[wire.BatchResolveModelsResponse.Result]:
        """As :meth:`autoisp_client.Client.batch_resolve_models`."""
        request = wire.BatchResolveModelsRequest(requests=requests)
        return list((await self._registry.unary(self._rollout_stub.BatchResolveModels, request)).results)

    async def report_outcome(
        self, channel: str, rollout_id: str, device_id: str, *, failed: bool = False, reason: str = ""
    ) -> bool:
        """As :meth:`autoisp_client.Client.report_outcome`."""
        request = wire.ReportOutcomeRequest(
            channel=channel, rollout_id=rollout_id, device_id=device_id, failed=failed, reason=reason
        )
        return (await self._registry.unary(self._rollout_stub.ReportOutcome, request)).resolve_again

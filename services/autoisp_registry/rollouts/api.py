"""gRPC: decode, call the use case, encode."""

from __future__ import annotations

from typing import Any, Protocol

from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import rollouts_pb2, rollouts_pb2_grpc
from autoisp_core.errors import AutoISPError, InvalidArgumentError
from autoisp_runtime.actor import actor_of

from autoisp_registry.rollouts import wire
from autoisp_registry.rollouts.domain.constraints import Device, app_version_from, validate_profile
from autoisp_registry.rollouts.usecases import Board, Call, Channels, OutcomeRecorder, Report, Rollouts
from autoisp_registry.rollouts.validation import MAX_FORMATS, validate_device_id

MAX_BATCH = 1000

Result = rollouts_pb2.BatchResolveModelsResponse.Result


class _Request(Protocol):
    @property
    def channel(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def comment(self) -> str: ...
    @property
    def request_id(self) -> str: ...


class RolloutServicer(rollouts_pb2_grpc.RolloutServiceServicer):
    """``autoisp.registry.v1.RolloutService``; errors are translated by the server's interceptor."""

    def __init__(
        self,
        channels: Channels,
        rollouts: Rollouts,
        board: Board[Result],
        outcomes: OutcomeRecorder,
    ) -> None:
        self._channels = channels
        self._rollouts = rollouts
        self._board = board
        self._outcomes = outcomes

    async def CreateChannel(  # noqa: N802 - gRPC's name
        self, request: rollouts_pb2.CreateChannelRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Create a channel."""
        call = Call(
            request.channel.name, actor_of(context), request_id=request.request_id, field="channel.name"
        )
        return wire.channel_to(await self._channels.create(call, wire.new_channel_from(request.channel)))

    async def GetChannel(  # noqa: N802
        self, request: rollouts_pb2.GetChannelRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """One channel."""
        return wire.channel_to(await self._channels.get(request.name))

    async def ListChannels(  # noqa: N802
        self, request: rollouts_pb2.ListChannelsRequest, context: Any
    ) -> rollouts_pb2.ListChannelsResponse:
        """A page of channels, oldest first."""
        page = await self._channels.list(request.parent, request.page_size, request.page_token)
        return rollouts_pb2.ListChannelsResponse(
            channels=map(wire.channel_to, page.items),
            next_page_token=page.next_page_token,
        )

    async def DeleteChannel(  # noqa: N802
        self, request: rollouts_pb2.DeleteChannelRequest, context: Any
    ) -> rollouts_pb2.DeleteChannelResponse:
        """Delete a channel."""
        await self._channels.delete(Call(request.name, actor_of(context), request.etag, field="name"))
        return rollouts_pb2.DeleteChannelResponse()

    async def StartRollout(  # noqa: N802
        self, request: rollouts_pb2.StartRolloutRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Begin to serve a version to a share of the devices."""
        new = wire.new_rollout_from(request.rollout)
        return wire.channel_to(await self._rollouts.start(_call(request, context), new))

    async def UpdateRollout(  # noqa: N802
        self, request: rollouts_pb2.UpdateRolloutRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Change the share, the testers or the halt rule."""
        changes = wire.changes_from(request)
        return wire.channel_to(await self._rollouts.update(_call(request, context), changes))

    async def PauseRollout(  # noqa: N802
        self, request: rollouts_pb2.PauseRolloutRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """No further device gets the version."""
        return wire.channel_to(await self._rollouts.pause(_call(request, context)))

    async def ResumeRollout(  # noqa: N802
        self, request: rollouts_pb2.ResumeRolloutRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Go on after a pause or a halt."""
        call = _call(request, context)
        return wire.channel_to(await self._rollouts.resume(call, reset_outcomes=request.reset_outcomes))

    async def CompleteRollout(  # noqa: N802
        self, request: rollouts_pb2.CompleteRolloutRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Everybody gets the version from now on."""
        return wire.channel_to(await self._rollouts.complete(_call(request, context)))

    async def AbortRollout(  # noqa: N802
        self, request: rollouts_pb2.AbortRolloutRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Everybody goes back to the channel's version."""
        return wire.channel_to(await self._rollouts.abort(_call(request, context)))

    async def RollbackChannel(  # noqa: N802
        self, request: rollouts_pb2.RollbackChannelRequest, context: Any
    ) -> rollouts_pb2.Channel:
        """Back to the version that the channel served before."""
        return wire.channel_to(await self._rollouts.rollback(_call(request, context)))

    async def ResolveModel(  # noqa: N802
        self, request: rollouts_pb2.ResolveModelRequest, context: Any
    ) -> rollouts_pb2.ResolveModelResponse:
        """Which version a device is to run."""
        return self._resolve(request).response

    async def BatchResolveModels(  # noqa: N802
        self, request: rollouts_pb2.BatchResolveModelsRequest, context: Any
    ) -> rollouts_pb2.BatchResolveModelsResponse:
        """Answers in the order of the requests; what is wrong with one is its own failure."""
        if len(request.requests) > MAX_BATCH:
            raise InvalidArgumentError(
                "requests", f"{len(request.requests)} requests are too many; send at most {MAX_BATCH} at once"
            )
        return rollouts_pb2.BatchResolveModelsResponse(results=map(self._result, request.requests))

    async def ReportOutcome(  # noqa: N802
        self, request: rollouts_pb2.ReportOutcomeRequest, context: Any
    ) -> rollouts_pb2.ReportOutcomeResponse:
        """Count how a version does on a device."""
        report = Report(
            request.channel, request.rollout_id, request.device_id, request.failed, request.reason
        )
        return rollouts_pb2.ReportOutcomeResponse(resolve_again=await self._outcomes.report(report))

    def _resolve(self, request: rollouts_pb2.ResolveModelRequest) -> Result:
        device_id, profile = request.device_id, request.device_profile
        validate_device_id(device_id)
        if profile:
            validate_profile(profile, "device_profile")
        if request.current_version < 0:
            raise InvalidArgumentError("current_version", "give the version's number, or 0 for none")
        if len(request.formats) > MAX_FORMATS:
            raise InvalidArgumentError("formats", f"give at most {MAX_FORMATS} formats")
        device = Device(
            device_id, profile, app_version_from(request.app_version, "app_version"), request.current_version
        )
        return self._board.resolve(request.channel, device, request.formats)

    def _result(self, request: rollouts_pb2.ResolveModelRequest) -> Result:
        try:
            return self._resolve(request)
        except AutoISPError as error:
            failure = common_pb2.Failure(reason=error.reason, message=str(error))
            return Result(failure=failure)


def _call(request: _Request, context: Any) -> Call:
    return Call(request.channel, actor_of(context), request.etag, request.comment, request.request_id)

"""What the clients offer for bringing a version to a channel's devices step by step."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp.registry.v1 import rollouts_pb2 as wire
from autoisp.registry.v1 import rollouts_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.requests import request_id as request_id_of


class RolloutSteps:
    """The part of :class:`autoisp_client.Client` that moves rollouts on."""

    _registry: Connection
    _rollout_stub: rollouts_pb2_grpc.RolloutServiceStub

    def start_rollout(
        self,
        channel: str,
        rollout: wire.Rollout,
        *,
        comment: str = "",
        etag: str = "",
        request_id: str = "",
    ) -> wire.Channel:
        """Begins to serve a version to a share of a channel's devices; one rollout at a time.

        Args:
            channel: ``products/{p}/channels/{c}``.
            rollout: with ``version``, ``percent``, ``cohort``, ``testers``, ``constraints``, ``halt_rule``.
            comment: why, for the audit log. So everywhere.
            etag: of the channel; if given, only if nobody was faster. So everywhere.
            request_id: the same again returns what the first did; made up by default, so that a call repeated
                after a lost connection starts nothing twice. So everywhere.

        Raises:
            FailedPreconditionError: one is on already.
            AbortedError: the channel changed since ``etag``.
        """
        request = wire.StartRolloutRequest(
            channel=channel, rollout=rollout, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return self._registry.unary(self._rollout_stub.StartRollout, request)

    def update_rollout(
        self,
        channel: str,
        *,
        percent: float | None = None,
        halt_rule: wire.HaltRule | None = None,
        testers: Sequence[str] = (),
        comment: str = "",
        etag: str = "",
        request_id: str = "",
    ) -> wire.Channel:
        """Changes what is given; raising the share keeps every device that had the version.

        Args:
            percent: 0 to 100.
            testers: device ids; empty: as they are.
        """
        request = wire.UpdateRolloutRequest(
            channel=channel,
            percent=percent,
            halt_rule=halt_rule,
            testers=testers,
            comment=comment,
            etag=etag,
            request_id=request_id_of(request_id),
        )
        return self._registry.unary(self._rollout_stub.UpdateRollout, request)

    def resume_rollout(
        self,
        channel: str,
        *,
        reset_outcomes: bool = False,
        comment: str = "",
        etag: str = "",
        request_id: str = "",
    ) -> wire.Channel:
        """Goes on after a pause or a halt.

        Args:
            reset_outcomes: after a halt, forget the outcomes so far; else the next failure halts it again.
        """
        request = wire.ResumeRolloutRequest(
            channel=channel,
            reset_outcomes=reset_outcomes,
            comment=comment,
            etag=etag,
            request_id=request_id_of(request_id),
        )
        return self._registry.unary(self._rollout_stub.ResumeRollout, request)

    def pause_rollout(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """No further device gets the version; those that run it keep it."""
        request = wire.PauseRolloutRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return self._registry.unary(self._rollout_stub.PauseRollout, request)

    def complete_rollout(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """Everybody gets the version from now on."""
        request = wire.CompleteRolloutRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return self._registry.unary(self._rollout_stub.CompleteRollout, request)

    def abort_rollout(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """Ends the rollout; everybody goes back to the channel's version."""
        request = wire.AbortRolloutRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return self._registry.unary(self._rollout_stub.AbortRollout, request)

    def rollback_channel(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """Back to the version that the channel served before; ends the rollout that is on."""
        request = wire.RollbackChannelRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return self._registry.unary(self._rollout_stub.RollbackChannel, request)


class AsyncRolloutSteps:
    """The part of :class:`autoisp_client.AsyncClient` that moves rollouts on."""

    _registry: AsyncConnection
    _rollout_stub: rollouts_pb2_grpc.RolloutServiceAsyncStub

    async def start_rollout(
        self,
        channel: str,
        rollout: wire.Rollout,
        *,
        comment: str = "",
        etag: str = "",
        request_id: str = "",
    ) -> wire.Channel:
        """As :meth:`autoisp_client.Client.start_rollout`."""
        request = wire.StartRolloutRequest(
            channel=channel, rollout=rollout, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return await self._registry.unary(self._rollout_stub.StartRollout, request)

    async def update_rollout(
        self,
        channel: str,
        *,
        percent: float | None = None,
        halt_rule: wire.HaltRule | None = None,
        testers: Sequence[str] = (),
        comment: str = "",
        etag: str = "",
        request_id: str = "",
    ) -> wire.Channel:
        """As :meth:`autoisp_client.Client.update_rollout`."""
        request = wire.UpdateRolloutRequest(
            channel=channel,
            percent=percent,
            halt_rule=halt_rule,
            testers=testers,
            comment=comment,
            etag=etag,
            request_id=request_id_of(request_id),
        )
        return await self._registry.unary(self._rollout_stub.UpdateRollout, request)

    async def resume_rollout(
        self,
        channel: str,
        *,
        reset_outcomes: bool = False,
        comment: str = "",
        etag: str = "",
        request_id: str = "",
    ) -> wire.Channel:
        """As :meth:`autoisp_client.Client.resume_rollout`."""
        request = wire.ResumeRolloutRequest(
            channel=channel,
            reset_outcomes=reset_outcomes,
            comment=comment,
            etag=etag,
            request_id=request_id_of(request_id),
        )
        return await self._registry.unary(self._rollout_stub.ResumeRollout, request)

    async def pause_rollout(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """No further device gets the version; those that run it keep it."""
        request = wire.PauseRolloutRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return await self._registry.unary(self._rollout_stub.PauseRollout, request)

    async def complete_rollout(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """Everybody gets the version from now on."""
        request = wire.CompleteRolloutRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return await self._registry.unary(self._rollout_stub.CompleteRollout, request)

    async def abort_rollout(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """Ends the rollout; everybody goes back to the channel's version."""
        request = wire.AbortRolloutRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return await self._registry.unary(self._rollout_stub.AbortRollout, request)

    async def rollback_channel(
        self, channel: str, *, comment: str = "", etag: str = "", request_id: str = ""
    ) -> wire.Channel:
        """Back to the version that the channel served before; ends the rollout that is on."""
        request = wire.RollbackChannelRequest(
            channel=channel, comment=comment, etag=etag, request_id=request_id_of(request_id)
        )
        return await self._registry.unary(self._rollout_stub.RollbackChannel, request)

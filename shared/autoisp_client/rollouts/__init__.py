"""What the clients offer about channels, their rollouts, and the devices behind them."""

from autoisp_client.rollouts.channels import AsyncChannelCalls, ChannelCalls
from autoisp_client.rollouts.devices import AsyncDeviceCalls, DeviceCalls
from autoisp_client.rollouts.steps import AsyncRolloutSteps, RolloutSteps


class RolloutCalls(ChannelCalls, RolloutSteps, DeviceCalls):
    """All that the blocking client offers about rollouts."""


class AsyncRolloutCalls(AsyncChannelCalls, AsyncRolloutSteps, AsyncDeviceCalls):
    """All that the asyncio client offers about rollouts."""


__all__ = ["AsyncRolloutCalls", "RolloutCalls"]

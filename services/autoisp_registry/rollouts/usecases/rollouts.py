"""Starting, changing and ending rollouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.ids import new_id

from autoisp_registry.rollouts.domain.buckets import percent_of
from autoisp_registry.rollouts.domain.channel import Channel, Rollout, RolloutState
from autoisp_registry.rollouts.domain.constraints import Constraints
from autoisp_registry.rollouts.domain.outcomes import HaltRule, Outcomes
from autoisp_registry.rollouts.ports import Memory, Store, Transaction
from autoisp_registry.rollouts.usecases.changes import Call, Change, Work, change, require_servable


@dataclass(frozen=True)
class NewRollout:
    """What a rollout is started with; ``share`` in millionths."""

    version: int
    share: int
    cohort: str
    testers: tuple[str, ...]
    constraints: Constraints
    halt_rule: HaltRule


@dataclass(frozen=True)
class Changes:
    """What is to change of a rollout; None stays as it is."""

    share: int | None = None
    halt_rule: HaltRule | None = None
    testers: tuple[str, ...] | None = None


class Rollouts:
    """The use cases about rollouts.

    All raise ``InvalidArgumentError`` (a field is wrong), ``NotFoundError`` (no such channel),
    ``AbortedError`` (it changed since the caller saw the etag) and ``FailedPreconditionError`` (not possible
    in its state), and a repeated request_id returns the channel and changes nothing.

    Args:
        memory: what answers devices.
        now: the clock, in UTC.
    """

    def __init__(
        self, store: Store, memory: Memory, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._memory = memory
        self._now = now

    async def start(self, call: Call, new: NewRollout) -> Channel:
        """Begin to serve a version to a share of the devices.

        Raises:
            NotFoundError: there is no such version, too.
        """

        async def work(transaction: Transaction, channel: Channel, now: datetime) -> Change:
            channel.require("start")
            await require_servable(transaction, channel.model, new.version, "rollout.version")
            rollout = Rollout(
                new_id("r"),
                new.version,
                new.share,
                now,
                now,
                new.cohort,
                new.testers,
                new.constraints,
                new.halt_rule,
                tally=new_id(),
            )
            percent = _percent(new.share)
            details = {"rollout": rollout.rollout_id, "version": str(new.version), "percent": percent}
            if new.cohort:
                details["cohort"] = new.cohort
            summary = f"version {new.version} to {percent} % of the devices"
            return Change(channel.started(now, rollout), summary, details)

        return await self._change(call, "rollout.start", work)

    async def update(self, call: Call, changes: Changes) -> Channel:
        """Change the share, the halt rule or the testers."""
        if changes == Changes():
            raise InvalidArgumentError("percent", "say what to change: set percent, halt_rule or testers")

        async def work(_: Transaction, channel: Channel, now: datetime) -> Change:
            before = channel.current("update")
            details, said = {"rollout": before.rollout_id}, []
            after = before
            if changes.share is not None:
                after = replace(after, share=changes.share)
                details |= {"from": _percent(before.share), "percent": _percent(changes.share)}
                said.append(f"from {details['from']} % to {details['percent']} % of the devices")
            if changes.halt_rule is not None:
                after = replace(after, halt_rule=changes.halt_rule)
                details["halt_rule"] = _rule(changes.halt_rule)
                said.append(f"halt rule: {details['halt_rule']}")
            if changes.testers is not None:
                after = replace(after, testers=changes.testers)
                details["testers"] = str(len(changes.testers))
                said.append(f"{len(changes.testers)} testers")
            return Change(channel.changed(now, after), "; ".join(said), details)

        return await self._change(call, "rollout.update", work)

    async def pause(self, call: Call) -> Channel:
        """No further device gets the version; those that run it keep it."""

        async def work(_: Transaction, channel: Channel, now: datetime) -> Change:
            return _of_rollout(channel.entered(now, "pause", RolloutState.PAUSED, call.comment), "paused")

        return await self._change(call, "rollout.pause", work)

    async def resume(self, call: Call, *, reset_outcomes: bool = False) -> Channel:
        """Go on after a pause or a halt.

        Args:
            reset_outcomes: forget what devices reported so far.
        """

        async def work(_: Transaction, channel: Channel, now: datetime) -> Change:
            after = channel.entered(now, "resume", RolloutState.ACTIVE, "")
            assert after.rollout is not None, "it was just resumed"
            if not reset_outcomes:
                return _of_rollout(after, "resumed")
            rollout = replace(after.rollout, outcomes=Outcomes(), tally=new_id())
            return _of_rollout(
                replace(after, rollout=rollout), "resumed, outcomes forgotten", reset_outcomes="true"
            )

        return await self._change(call, "rollout.resume", work)

    async def complete(self, call: Call) -> Channel:
        """Everybody gets the version from now on."""

        async def work(transaction: Transaction, channel: Channel, now: datetime) -> Change:
            version = channel.current("complete").version
            await require_servable(transaction, channel.model, version, "channel")
            after = channel.completed(now, call.comment)
            return _of_last(after, f"version {version} to everybody", channel.version)

        return await self._change(call, "rollout.complete", work)

    async def abort(self, call: Call) -> Channel:
        """Everybody goes back to the channel's version."""

        async def work(_: Transaction, channel: Channel, now: datetime) -> Change:
            after = channel.aborted(now, call.comment)
            return _of_last(after, f"everybody back to version {channel.version}", channel.version)

        return await self._change(call, "rollout.abort", work)

    async def rollback(self, call: Call) -> Channel:
        """Go back to the version that the channel served before; ends the rollout that is on."""

        async def work(transaction: Transaction, channel: Channel, now: datetime) -> Change:
            living = [n for n in channel.history if await transaction.servable(channel.model, n)]
            why = call.comment or "the channel was rolled back"
            after = channel.rolled_back(now, living, why)
            details = {"from": str(channel.version), "to": str(after.version)}
            if channel.rollout:
                details["rollout"] = channel.rollout.rollout_id
            return Change(after, f"from version {channel.version} back to {after.version}", details)

        return await self._change(call, "channel.rollback", work)

    async def _change(self, call: Call, action: str, work: Work) -> Channel:
        return await change(self._store, self._memory, call, action, self._now(), work)


def _of_rollout(channel: Channel, summary: str, **details: str) -> Change:
    assert channel.rollout is not None, "its state was checked"
    rollout = channel.rollout
    return Change(
        channel, summary, {"rollout": rollout.rollout_id, "version": str(rollout.version), **details}
    )


def _of_last(channel: Channel, summary: str, before: int) -> Change:
    assert channel.last_rollout is not None, "it just ended"
    rollout, outcomes = channel.last_rollout, channel.last_rollout.outcomes
    details = {
        "rollout": rollout.rollout_id,
        "from": str(before),
        "to": str(channel.version),
        "succeeded": str(outcomes.succeeded),
        "failed": str(outcomes.failed),
    }
    return Change(channel, summary, details)


def _percent(share: int) -> str:
    return f"{percent_of(share):g}"


def _rule(rule: HaltRule) -> str:
    if rule.disabled:
        return "disabled"
    return f"more than {100 * rule.max_failure_rate:g} % of at least {rule.min_devices} devices"

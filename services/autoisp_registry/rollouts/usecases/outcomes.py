"""Counting what devices report: durable before it is acknowledged, many reports in one transaction."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog
from autoisp_core import names
from autoisp_core.errors import AutoISPError, NotFoundError, ResourceExhaustedError

from autoisp_registry.audit import AuditDraft
from autoisp_registry.audit.domain import REGISTRY
from autoisp_registry.rollouts.domain.channel import Channel, Rollout, RolloutState
from autoisp_registry.rollouts.domain.outcomes import halts, report_key, validate_reason
from autoisp_registry.rollouts.ports import Memory, Store
from autoisp_registry.rollouts.validation import validate_device_id, validate_rollout_id

_log = structlog.get_logger(__name__)

_AT_ONCE = 500
_MAX_WAITING = 20_000

_Waiting = tuple["Report", "asyncio.Future[bool]"]


@dataclass(frozen=True)
class Report:
    """How a rollout's version did on a device; ``reason`` is of a failure and may be empty."""

    channel: str
    rollout_id: str
    device_id: str
    failed: bool
    reason: str = ""

    def validate(self) -> None:
        """Check the fields.

        Raises:
            InvalidArgumentError: naming the field.
        """
        names.CHANNEL.parse(self.channel, "channel")
        validate_rollout_id(self.rollout_id)
        validate_device_id(self.device_id)
        validate_reason(self.reason, self.failed)


@dataclass(frozen=True)
class _Counted:
    channel: Channel
    written: Mapping[bytes, bool] = field(default_factory=dict)
    halted: bool = False


class OutcomeRecorder:
    """Takes reports and writes those that come together in one transaction.

    While one transaction is written the next reports gather, so the busier it is, the more share a commit;
    no timer is needed. One instance serves all callers of a process; :meth:`run` must be running.

    Args:
        memory: what answers devices; told of a halt.
        now: the clock, in UTC.
    """

    def __init__(
        self, store: Store, memory: Memory, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._memory = memory
        self._now = now
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()

    async def report(self, report: Report) -> bool:
        """Count a report; returns once that is durable: whether the device had better resolve again.

        A device that is neither in the rollout's share nor a tester is not counted, and had better.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such channel.
            ResourceExhaustedError: too many reports wait.
            UnavailableError: the database is away; report again later.
        """
        report.validate()
        if len(self._waiting) >= _MAX_WAITING:
            raise ResourceExhaustedError(
                f"{_MAX_WAITING} reports wait to be written; report again in a minute",
                reason="TOO_MANY_REPORTS",
            )
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((report, written))
        self._arrived.set()
        return await written

    async def run(self) -> None:
        """Write what waits, for ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                await self._write([waiting for waiting in batch if not waiting[1].done()])

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            counted = await self._count([report for report, _ in batch])
        except AutoISPError as error:
            for _, written in batch:
                if not written.done():
                    written.set_exception(error)
            return
        if any(one.halted for one in counted.values()):
            await self._memory.catch_up()
        for report, written in batch:
            if written.done():  # its caller is gone
                continue
            if report.channel not in counted:
                written.set_exception(NotFoundError(report.channel, metadata={"field": "channel"}))
            else:
                rollout = counted[report.channel].channel.rollout
                halted = rollout is not None and rollout.state is RolloutState.HALTED
                written.set_result(halted or not _concerns(report, rollout))

    async def _count(self, reports: Sequence[Report]) -> dict[str, _Counted]:
        by_channel: dict[str, list[Report]] = defaultdict(list)
        for report in reports:
            by_channel[report.channel].append(report)
        now = self._now()
        async with self._store.transaction() as transaction:
            # Whoever counts holds the channel: between what was reported and what is written comes nobody.
            locked = await transaction.lock(by_channel)
            keys = {name: _keys(channel, by_channel[name]) for name, channel in locked.items()}
            known = await transaction.reported({key for of_one in keys.values() for key in of_one})
            written: dict[bytes, bool] = {}
            counted = {
                name: _count_channel(channel, zip(keys[name], by_channel[name], strict=True), known, now)
                for name, channel in locked.items()
            }
            for one in counted.values():
                written |= one.written
            if written:
                await transaction.write_reports(written)
                await transaction.save([one.channel for one in counted.values() if one.written])
            for one in counted.values():
                if one.halted:
                    await transaction.tell(_halt(one.channel), one.channel, now)
        return counted


def _keys(channel: Channel, reports: Sequence[Report]) -> list[bytes]:
    """Of the reports that count; empty for the others."""
    rollout = channel.rollout
    return [
        report_key(rollout.tally, report.device_id) if rollout and _concerns(report, rollout) else b""
        for report in reports
    ]


def _count_channel(
    channel: Channel,
    reports: Iterable[tuple[bytes, Report]],
    known: dict[bytes, bool],
    now: datetime,
) -> _Counted:
    rollout = channel.rollout
    if rollout is None:
        return _Counted(channel)
    outcomes, written, halted = rollout.outcomes, dict[bytes, bool](), False
    for key, report in reports:
        if not key:
            continue
        after = outcomes.counted(known.get(key), report.reason if report.failed else None)
        if after is outcomes:
            continue
        known[key] = written[key] = report.failed
        running = rollout.state in (RolloutState.ACTIVE, RolloutState.PAUSED)
        halted = halted or (running and halts(rollout.halt_rule, outcomes, after))
        outcomes = after
    channel = replace(channel, rollout=replace(rollout, outcomes=outcomes))
    if halted:
        why = f"{outcomes.failed} of {outcomes.devices} devices failed"
        channel = channel.entered(now, "halt", RolloutState.HALTED, why)
        _log.warning("rollout halted", channel=channel.name, rollout=rollout.rollout_id, why=why)
    return _Counted(channel, written, halted)


def _concerns(report: Report, rollout: Rollout | None) -> bool:
    """Whether it is of the rollout that is on, and of a device that this reaches."""
    return (
        rollout is not None and report.rollout_id == rollout.rollout_id and rollout.reaches(report.device_id)
    )


def _halt(channel: Channel) -> AuditDraft:
    assert channel.rollout is not None, "it was just halted"
    rollout, outcomes = channel.rollout, channel.rollout.outcomes
    details = {
        "rollout": rollout.rollout_id,
        "version": str(rollout.version),
        "failed": str(outcomes.failed),
        "devices": str(outcomes.devices),
        "max_failure_rate": f"{rollout.halt_rule.max_failure_rate:g}",
    }
    return AuditDraft(REGISTRY, "rollout.halt", channel.name, f"halted: {rollout.state_reason}", details)

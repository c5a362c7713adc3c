"""A channel and its rollout on a terminal: the share as a bar, the failures against the rule."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp.registry.v1 import rollouts_pb2 as wire
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoisp_cli.registry.short_names import model_id, short_channel

DEFAULT_RATE, DEFAULT_DEVICES = 0.01, 100
"""What a halt rule's zeros mean."""
_BAR = 30
_STATES = {
    wire.ROLLOUT_STATE_ACTIVE: ("active", "bold green"),
    wire.ROLLOUT_STATE_PAUSED: ("paused", "bold yellow"),
    wire.ROLLOUT_STATE_HALTED: ("halted", "bold red"),
    wire.ROLLOUT_STATE_COMPLETED: ("completed", "green"),
    wire.ROLLOUT_STATE_ABORTED: ("aborted", "red"),
}


def channel_view(channel: wire.Channel) -> RenderableType:
    """All of a channel."""
    rows = Table.grid(padding=(0, 3, 0, 0))
    for name, value in _rows(channel):
        rows.add_row(Text(name, style="dim"), value)
    return Group(Text(short_channel(channel.name), style="bold"), rows)


def state_text(rollout: wire.Rollout) -> Text:
    """The state in its colour."""
    return Text(*_STATES.get(rollout.state, ("unknown", "")))


def serves(channel: wire.Channel) -> str:
    """``night@3``, or that it serves nothing yet."""
    return f"{model_id(channel.model)}@{channel.version}" if channel.version else "nothing yet"


def rollout_line(channel: wire.Channel) -> Text:
    """The rollout that is on in one line: ``night@4 to 10 % active``; empty if there is none."""
    if not channel.HasField("rollout"):
        return Text()
    rollout = channel.rollout
    text = Text(f"{model_id(channel.model)}@{rollout.version} to {percent_text(rollout.percent)} ")
    return text.append_text(state_text(rollout))


def watched_line(channel: wire.Channel) -> Text:
    """All that changes in one line: ``serves night@3; night@4 to 10 % active, 0.5 % of …``."""
    text = Text(f"serves {serves(channel)}")
    if channel.HasField("rollout"):
        text.append("; ").append_text(rollout_line(channel))
        if failures := failure_text(channel.rollout):
            text.append(f", {failures}")
    return text


def percent_text(percent: float) -> str:
    """``12.5 %``, in steps of 0.0001."""
    return f"{percent:.4f}".rstrip("0").rstrip(".") + " %"


def failure_text(rollout: wire.Rollout) -> str:
    """``0.74 % of 1,213 devices failed``; empty before any reported."""
    outcomes = rollout.outcomes
    reported = outcomes.succeeded + outcomes.failed
    if not reported:
        return ""
    devices = "device" if reported == 1 else "devices"
    return f"{percent_text(round(100 * outcomes.failed / reported, 2))} of {reported:,} {devices} failed"


def _rows(channel: wire.Channel) -> Iterator[tuple[str, RenderableType]]:
    if channel.description:
        yield "", Text(channel.description)
    yield "serves", Text(serves(channel), style="bold cyan")
    if text := constraints_text(channel.constraints):
        yield "to", Text(text)
    if channel.HasField("rollout"):
        yield from _rollout(channel, channel.rollout)
    if channel.HasField("last_rollout"):
        last = channel.last_rollout
        ended = Text(f"{model_id(channel.model)}@{last.version} ").append_text(state_text(last))
        ended.append(f" at {percent_text(last.percent)}")
        if failures := failure_text(last):
            ended.append(f", {failures}")
        yield "last rollout", ended
        if last.state_reason:
            yield "", Text(last.state_reason, style="dim")


def _rollout(channel: wire.Channel, rollout: wire.Rollout) -> Iterator[tuple[str, RenderableType]]:
    head = Text(f"{model_id(channel.model)}@{rollout.version} ", style="bold cyan")
    yield "rollout", head.append_text(state_text(rollout)).append(f"  {rollout.rollout_id}", style="dim")
    if rollout.state_reason:
        yield "", Text(rollout.state_reason)
    if rollout.state == wire.ROLLOUT_STATE_HALTED:
        yield "", Text("next: 'autoisp channels abort', or 'resume --reset-outcomes'", style="dim")
    share = bar(rollout.percent / 100, "cyan").append(f" {percent_text(rollout.percent)} of the devices")
    if rollout.testers:
        share.append(f" and {len(rollout.testers)} tester{'s' if len(rollout.testers) != 1 else ''}")
    yield "share", share
    if rollout.cohort:
        yield "cohort", Text(rollout.cohort)
    if text := constraints_text(rollout.constraints):
        yield "only", Text(text)
    yield from _outcomes(rollout)


def _outcomes(rollout: wire.Rollout) -> Iterator[tuple[str, RenderableType]]:
    outcomes, rule = rollout.outcomes, rollout.halt_rule
    reported = outcomes.succeeded + outcomes.failed
    limit = rule.max_failure_rate or DEFAULT_RATE
    enough = rule.min_devices or DEFAULT_DEVICES
    yield "outcomes", Text(f"{outcomes.succeeded:,} succeeded, {outcomes.failed:,} failed")
    rate = outcomes.failed / reported if reported else 0.0
    if rule.disabled:
        yield "failing", Text(f"{percent_text(round(100 * rate, 2))}, and nothing halts it")
    else:
        colour = "red" if rate > limit else "yellow" if rate > limit / 2 else "green"
        line = bar(rate / limit, colour).append(
            f" {percent_text(round(100 * rate, 2))}, halts above {percent_text(100 * limit)}"
        )
        if reported < enough:
            line.append(f" once {enough:,} devices reported", style="dim")
        yield "failing", line
    reasons = sorted(outcomes.failure_reasons.items(), key=lambda item: -item[1])
    if reasons:
        yield "reasons", Text(", ".join(f"{reason} {count:,}" for reason, count in reasons[:6]))


def constraints_text(constraints: wire.Constraints) -> str:
    """``phone-npu-10 or phone-npu-11, app 3.1 to 4.0``; empty if nothing binds."""
    parts = [" or ".join(constraints.device_profiles)] if constraints.device_profiles else []
    low, high = constraints.min_app_version, constraints.max_app_version
    if low and high:
        parts.append(f"app {low} to {high}")
    elif low or high:
        parts.append(f"app {low} and newer" if low else f"app up to {high}")
    return ", ".join(parts)


def bar(fraction: float, colour: str) -> Text:
    """A bar that is as full as ``fraction``; something small shows."""
    fraction = min(max(fraction, 0.0), 1.0)
    full = max(round(_BAR * fraction), 1 if fraction else 0)
    return Text.assemble(("━" * full, colour), ("─" * (_BAR - full), "bright_black"))

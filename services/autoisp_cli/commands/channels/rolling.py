"""``autoisp channels start``, and what moves a rollout on, or back."""

from __future__ import annotations

from typing import Annotated

import typer
from autoisp.registry.v1 import rollouts_pb2 as wire
from autoisp_client import Client
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError

from autoisp_cli.commands.channels.options import (
    ChannelArgument,
    CommentOption,
    DevicesOption,
    MaxAppOption,
    MinAppOption,
    NoHaltOption,
    ProfilesOption,
    RateOption,
    TesterOption,
)
from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    output_console,
    show_one,
)
from autoisp_cli.registry.rollout_view import channel_view, percent_text
from autoisp_cli.registry.short_names import channel_name, number_of, numbered, split_name

PercentArgument = Annotated[
    float, typer.Argument(metavar="PERCENT", min=0, max=100, help="Share of the devices, 0 to 100.")
]


def start_command(
    channel: ChannelArgument,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="Of the channel's model: a number or an alias.")
    ],
    percent: Annotated[
        float, typer.Option("--percent", metavar="P", min=0, max=100, help="Share of the devices.")
    ] = 1.0,
    cohort: Annotated[
        str,
        typer.Option("--cohort", metavar="NAME", help="Rollouts of one cohort reach the same devices first."),
    ] = "",
    tester: TesterOption = [],  # noqa: B006 - typer copies it
    device_profile: ProfilesOption = [],  # noqa: B006 - typer copies it
    min_app_version: MinAppOption = "",
    max_app_version: MaxAppOption = "",
    max_failure_percent: RateOption = None,
    min_devices: DevicesOption = None,
    no_halt: NoHaltOption = False,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Begin to serve a version to some devices.

    \b
    autoisp channels start p-series/stable 4 --percent 1
    autoisp channels start p-series/stable champion --percent 5 --max-failure-percent 0.5
    """
    with client_for(server, state) as client:
        name = channel_name(channel)
        found = client.get_channel(name)
        rollout = wire.Rollout(
            version=_version(client, found, version),
            percent=percent,
            cohort=cohort,
            testers=tester,
            halt_rule=_rule(wire.HaltRule(), max_failure_percent, min_devices, no_halt),
            constraints=wire.Constraints(
                device_profiles=device_profile,
                min_app_version=min_app_version,
                max_app_version=max_app_version,
            ),
        )
        _show(client.start_rollout(name, rollout, comment=comment, etag=found.etag), json=json)


def raise_command(
    channel: ChannelArgument,
    percent: PercentArgument,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Raise the share of the devices. Those that have the version keep it.

    \b
    autoisp channels raise p-series/stable 10
    """
    with client_for(server, state) as client:
        name = channel_name(channel)
        found = client.get_channel(name)
        if found.HasField("rollout") and percent < found.rollout.percent:
            raise InvalidArgumentError(
                "PERCENT",
                f"{percent_text(percent)} is less than the {percent_text(found.rollout.percent)} of now; to "
                f"take it from devices again, use 'autoisp channels set {channel} --percent {percent:g}'",
            )
        _show(client.update_rollout(name, percent=percent, comment=comment, etag=found.etag), json=json)


def set_command(
    channel: ChannelArgument,
    percent: Annotated[
        float | None, typer.Option("--percent", metavar="P", min=0, max=100, help="Share of the devices.")
    ] = None,
    tester: TesterOption = [],  # noqa: B006 - typer copies it
    max_failure_percent: RateOption = None,
    min_devices: DevicesOption = None,
    no_halt: Annotated[
        bool | None, typer.Option("--no-halt/--halt", help="Whether it may go on whatever fails.")
    ] = None,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Change the share, testers or halt rule. What is not named stays."""
    ruled = max_failure_percent is not None or min_devices is not None or no_halt is not None
    if percent is None and not tester and not ruled:
        raise InvalidArgumentError(
            "--percent", "nothing to change; name --percent, --tester or the halt rule"
        )
    with client_for(server, state) as client:
        name = channel_name(channel)
        found = client.get_channel(name)
        answer = client.update_rollout(
            name,
            percent=percent,
            testers=tester,
            halt_rule=_rule(found.rollout.halt_rule, max_failure_percent, min_devices, no_halt)
            if ruled
            else None,
            comment=comment,
            etag=found.etag,
        )
        _show(answer, json=json)


def pause_command(
    channel: ChannelArgument,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Pause: no further device gets the version. Those that run it keep it."""
    with client_for(server, state) as client:
        _show(client.pause_rollout(channel_name(channel), comment=comment), json=json)


def resume_command(
    channel: ChannelArgument,
    reset: Annotated[
        bool, typer.Option("--reset-outcomes", help="After a halt: count the failures from 0 again.")
    ] = False,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Go on after a pause or a halt."""
    with client_for(server, state) as client:
        answer = client.resume_rollout(channel_name(channel), reset_outcomes=reset, comment=comment)
        _show(answer, json=json)


def complete_command(
    channel: ChannelArgument,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Give the version to every device. The rollout ends well."""
    with client_for(server, state) as client:
        _show(client.complete_rollout(channel_name(channel), comment=comment), json=json)


def abort_command(
    channel: ChannelArgument,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """End the rollout: every device goes back. To the version that the channel serves."""
    with client_for(server, state) as client:
        _show(client.abort_rollout(channel_name(channel), comment=comment), json=json)


def rollback_command(
    channel: ChannelArgument,
    comment: CommentOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Serve what the channel served before. Ends the rollout that is on."""
    with client_for(server, state) as client:
        _show(client.rollback_channel(channel_name(channel), comment=comment), json=json)


def _show(channel: wire.Channel, *, json: bool) -> None:
    if json:
        show_one(channel, [], as_json=True)
    else:
        output_console().print(channel_view(channel))


def _version(client: Client, channel: wire.Channel, text: str) -> int:
    model, version = split_name(text) if "@" in text or "/" in text else (channel.model, text)
    if model != channel.model:
        raise FailedPreconditionError(
            f"{channel.name} serves {channel.model}, and {text} is a version of {model}; name one of "
            f"{channel.model}, or make another channel",
            reason="OTHER_MODEL",
        )
    return number_of(numbered(client, f"{model}/versions/{version}"))


def _rule(
    rule: wire.HaltRule, max_failure_percent: float | None, min_devices: int | None, no_halt: bool | None
) -> wire.HaltRule:
    changed = wire.HaltRule()
    changed.CopyFrom(rule)
    if max_failure_percent is not None:
        changed.max_failure_rate = max_failure_percent / 100
    if min_devices is not None:
        changed.min_devices = min_devices
    if no_halt is not None:
        changed.disabled = no_halt
    return changed

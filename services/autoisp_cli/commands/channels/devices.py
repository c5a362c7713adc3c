"""``autoisp channels resolve`` and ``report``: what devices ask and tell."""

from __future__ import annotations

from typing import Annotated

import typer
from autoisp_core.errors import FailedPreconditionError

from autoisp_cli.commands.channels.options import ChannelArgument
from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    show_one,
)
from autoisp_cli.registry.short_names import channel_name, short_version

DeviceArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="The device's own id.")]


def resolve_command(
    channel: ChannelArgument,
    device: DeviceArgument,
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="What it is, such as phone-npu-10.")
    ] = "",
    app_version: Annotated[str, typer.Option("--app-version", metavar="X.Y", help="What it runs.")] = "",
    current: Annotated[
        int, typer.Option("--current", metavar="N", min=0, help="The version that it has now.")
    ] = 0,
    formats: Annotated[
        list[str],
        typer.Option("--format", metavar="NAME", help="What it can run, the best first; repeat for more."),
    ] = [],  # noqa: B006 - typer copies it
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Tell which version a device would get.

    \b
    autoisp channels resolve p-series/stable phone-17 --profile phone-npu-10 --format onnx-int8
    """
    with client_for(server, state) as client:
        answer = client.resolve_model(
            channel_name(channel),
            device,
            device_profile=profile,
            app_version=app_version,
            current_version=current,
            formats=formats,
        )
    rows = [
        ("gets", short_version(answer.model_version)),
        ("format", answer.format),
        ("file", f"{answer.artifact.size_bytes:,} bytes, sha256 {answer.artifact.sha256}"),
        ("signed", f"sha256 {answer.signed_manifest.sha256}" if answer.signed_manifest.sha256 else "not yet"),
        ("because", f"it is in rollout {answer.rollout_id}" if answer.rollout_id else "it is in no rollout"),
    ]
    show_one(answer, rows, as_json=json)


def report_command(
    channel: ChannelArgument,
    device: DeviceArgument,
    failed: Annotated[
        str | None, typer.Option("--failed", metavar="REASON", help="It fails: LOAD_FAILED, TOO_SLOW, …")
    ] = None,
    rollout: Annotated[
        str,
        typer.Option("--rollout", metavar="ID", help="As resolve told it; by default the one that is on."),
    ] = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Report how a device does: well, or --failed.

    \b
    autoisp channels report p-series/stable phone-17 --failed TOO_SLOW
    """
    name = channel_name(channel)
    with client_for(server, state) as client:
        if not rollout:
            rollout = client.get_channel(name).rollout.rollout_id
        if not rollout:
            raise FailedPreconditionError(
                f"no rollout is on in {channel}; name the one that is meant with --rollout",
                reason="NO_ROLLOUT",
            )
        again = client.report_outcome(name, rollout, device, failed=failed is not None, reason=failed or "")
        found = client.get_channel(name)
    rows = [
        ("reported", "a failure" if failed is not None else "a success"),
        ("rollout", rollout),
        ("next", "the device had better ask again: this is halted, over, or not for it" if again else ""),
    ]
    show_one(found, [row for row in rows if row[1]], as_json=json)

"""``autoisp channels create`` and ``delete``."""

from __future__ import annotations

from typing import Annotated

import typer
from autoisp.registry.v1 import rollouts_pb2 as wire

from autoisp_cli.commands.channels.options import ChannelArgument, MaxAppOption, MinAppOption, ProfilesOption
from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    output_console,
    show_one,
)
from autoisp_cli.registry.rollout_view import channel_view
from autoisp_cli.registry.short_names import channel_name, number_of, numbered, split_name


def create_command(
    channel: ChannelArgument,
    model: Annotated[
        str,
        typer.Option("--model", metavar="MODEL[@VERSION]", help="What it serves; nothing yet without one."),
    ],
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="For people.")] = "",
    device_profile: ProfilesOption = [],  # noqa: B006 - typer copies it
    min_app_version: MinAppOption = "",
    max_app_version: MaxAppOption = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Make a channel: a version for devices.

    \b
    autoisp channels create p-series/stable --model night@champion
    """
    name = channel_name(channel)
    served, version = split_name(model)
    wanted = wire.Channel(
        name=name,
        model=served,
        description=description,
        constraints=wire.Constraints(
            device_profiles=device_profile, min_app_version=min_app_version, max_app_version=max_app_version
        ),
    )
    with client_for(server, state) as client:
        if version:
            wanted.version = number_of(numbered(client, f"{served}/versions/{version}"))
        found = client.create_channel(wanted)
    if json:
        show_one(found, [], as_json=True)
    else:
        output_console().print(channel_view(found))


def delete_command(
    channel: ChannelArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete a channel. Devices that ask for it are told that there is none."""
    with client_for(server, state) as client:
        name = channel_name(channel)
        client.delete_channel(name)
    show_one(wire.Channel(name=name), [("deleted", name)], as_json=json)

"""``autoisp channels list``, ``show`` and ``watch``."""

from __future__ import annotations

import json as json_text
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from autoisp.registry.v1 import rollouts_pb2 as wire
from rich.live import Live

from autoisp_cli.commands.channels.options import ChannelArgument
from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    Services,
    StateOption,
    client_for,
    is_narrow,
    minute_text,
    output_console,
    services_for,
    show_list,
    show_one,
)
from autoisp_cli.registry.rollout_view import (
    channel_view,
    constraints_text,
    failure_text,
    rollout_line,
    serves,
    watched_line,
)
from autoisp_cli.registry.short_names import channel_name, short_channel
from autoisp_cli.views.json_lines import message_dict

_PATIENCE_SECONDS = 30.0


def list_command(
    product: Annotated[
        str, typer.Argument(metavar="PRODUCT", help="Only of this product; by default of all.")
    ] = "-",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List channels, and the rollouts that are on."""
    with client_for(server, state) as client:
        columns: dict[str, Callable[[wire.Channel], object]] = {
            "CHANNEL": lambda channel: short_channel(channel.name),
            "SERVES": serves,
            "ROLLOUT": rollout_line,
            "FAILING": lambda channel: failure_text(channel.rollout).partition(" device")[0],
        }
        if not is_narrow():
            columns["TO"] = lambda channel: constraints_text(channel.constraints) or "every device"
        columns["UPDATED"] = lambda channel: minute_text(channel, "update_time")
        parent = product if product.startswith("products/") else f"products/{product}"
        none = "no channels yet; 'autoisp channels create' makes one"
        show_list(client.list_channels(parent), columns, as_json=json, limit=limit, if_none=none)


def show_command(
    channel: ChannelArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show a channel: its rollout and outcomes."""
    with client_for(server, state) as client:
        found = client.get_channel(channel_name(channel))
    if json:
        show_one(found, [], as_json=True)
    else:
        output_console().print(channel_view(found))


def watch_command(
    channel: ChannelArgument,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often to look.")
    ] = 2.0,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Watch a channel and its outcomes. Until Ctrl-C; with --json, a line for each change."""
    console = output_console()
    with services_for(server, state, patience=_PATIENCE_SECONDS) as services:
        states = _states(services, channel_name(channel), every)
        if json:
            for found in states:
                print(json_text.dumps(message_dict(found)), flush=True)
        elif not console.is_terminal:
            for found in states:
                console.print(watched_line(found))
        else:
            with Live(channel_view(next(states)), console=console, auto_refresh=False) as live:
                for found in states:
                    live.update(channel_view(found), refresh=True)


def _states(services: Services, name: str, every: float) -> Iterator[wire.Channel]:
    """The channel as it is, and again whenever it has changed: outcomes are no entries of the log."""
    before = services.client.get_channel(name)
    yield before
    while True:
        time.sleep(every)
        services.check()
        found = services.client.get_channel(name)
        if found != before:
            yield found
        before = found

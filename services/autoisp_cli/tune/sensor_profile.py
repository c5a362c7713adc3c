"""The sensor profile that ``--sensor`` names on the server."""

from __future__ import annotations

from dataclasses import replace

from autoisp_client import Client

from autoisp_cli.tune.options import TuneOptions


def with_profile(client: Client, options: TuneOptions) -> TuneOptions:
    """The options with the profile's text, and with the name of the very version; other sensors stay.

    Raises:
        InvalidArgumentError: there is no such profile.
    """
    found = options.sensor_choice.resolved(client)
    return replace(options, sensor=found.sensor, sensor_toml=found.toml)

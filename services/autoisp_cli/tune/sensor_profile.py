"""The sensor profile that ``--sensor`` names on the server."""

from __future__ import annotations

from dataclasses import replace

from autoisp_client import Client

from autoisp_cli.tune.faults import in_options
from autoisp_cli.tune.options import TuneOptions


def with_profile(client: Client, options: TuneOptions) -> TuneOptions:
    """The options with the profile's text, and with the name of the very version; other sensors stay.

    The text goes into the search: it keeps it, whatever becomes of the profile.

    Raises:
        InvalidArgumentError: there is no such profile.
    """
    if not options.names_profile:
        return options
    with in_options("--sensor"):
        version = client.get_sensor_profile_version(options.sensor)
    return replace(options, sensor=version.name, sensor_toml=version.toml)

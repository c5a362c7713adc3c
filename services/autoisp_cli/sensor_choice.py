"""``--sensor`` and ``--noise``: from whose point of view raw is synthesised."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from autoisp.common.v1 import common_pb2
from autoisp_client import Client
from autoisp_core.names import SENSOR_PROFILE, SENSOR_PROFILE_VERSION
from autoisp_core.sensor import Noise, SensorProfile
from autoisp_core.sensor import builtin as builtin_sensor

from autoisp_cli.paths import as_option, text_of
from autoisp_cli.tune.faults import in_options


@dataclass(frozen=True)
class SensorChoice:
    """What the options say.

    Attributes:
        sensor: ``builtin:NAME``, the path of a TOML file, or ``sensorProfiles/ID``.
        noise: ``SHOT,READ``; None: of the sensor's range.
        toml: the text of the profile that ``sensor`` names on the server, once that was asked.
    """

    sensor: str = "builtin:phone"
    noise: str | None = None
    toml: str = ""

    @property
    def names_profile(self) -> bool:
        """Whether the sensor is a profile on the server.

        Raises:
            InvalidArgumentError: it has the beginning of such a name, and another shape.
        """
        if not self.sensor.startswith("sensorProfiles/"):
            return False
        if SENSOR_PROFILE.match(self.sensor) is None:
            SENSOR_PROFILE_VERSION.parse(self.sensor, "--sensor")
        return True

    def resolved(self, client: Client) -> Self:
        """With the profile's text, and the name of the very version; other sensors stay as they are.

        The text goes into the job: it keeps it, whatever becomes of the profile.

        Raises:
            InvalidArgumentError: there is no such profile.
        """
        if not self.names_profile:
            return self
        with in_options("--sensor"):
            version = client.get_sensor_profile_version(self.sensor)
        return replace(self, sensor=version.name, toml=version.toml)

    def message(self) -> common_pb2.Sensor:
        """The sensor with its test noise.

        Raises:
            InvalidArgumentError: there is no such sensor, or the noise is none.
        """
        message = common_pb2.Sensor()
        kind, _, name = self.sensor.partition(":")
        if kind == "builtin":
            as_option("--sensor", lambda: builtin_sensor(name))
            message.builtin = name
        else:
            message.toml = self.toml if self.names_profile else self._text()
        if self.noise is not None:
            noise = self.noise
            parsed = as_option("--noise", lambda: Noise.parse(noise))
            message.test_noise.shot, message.test_noise.read = parsed.shot, parsed.read
        return message

    def _text(self) -> str:
        fix = "write builtin:phone, the path of a TOML file or sensorProfiles/ID"
        text = text_of("--sensor", Path(self.sensor), fix)
        as_option("--sensor", lambda: SensorProfile.from_toml(text))
        return text

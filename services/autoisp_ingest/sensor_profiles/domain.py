"""Versions of sensor profiles, and what a measurement found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.ids import validate_user_id
from autoisp_core.names import sensor_profile_version_name
from autoisp_core.noise import Noise
from autoisp_core.profile_toml import MAX_TOML_BYTES
from autoisp_core.sensor import SensorProfile

MAX_LIBCAMERA_BYTES = 1 << 20
"""Of a tuning file; those of libcamera have some 25 KiB."""
MAX_CLIPS = 16
"""In one measurement, of either kind."""
_MAX_REQUEST_ID = 128


class Source(Enum):
    """Where a version comes from."""

    TOML = "TOML"
    LIBCAMERA = "LIBCAMERA"
    METADATA = "METADATA"
    CALIBRATION = "CALIBRATION"


class Method(Enum):
    """What a measurement compares."""

    STATIC_FRAMES = "static frames"
    FLAT_PATCHES = "flat patches"


@dataclass(frozen=True)
class Calibration:
    """A photon transfer curve: variance = shot · mean + read, in [0, 1] from black to white level.

    Attributes:
        shot_interval, read_interval: half-widths of the 95 % confidence intervals.
        r_squared: share of the variances' spread that the line explains, at most 1.
        black_level, white_level: code values, measured or taken from the metadata.
        means, variances: the measured points, dark to bright.
        counts: how many values each point rests on.
        clips: names of what was measured.
    """

    noise: Noise
    shot_interval: float
    read_interval: float
    r_squared: float
    black_level: float
    white_level: float
    method: Method
    means: tuple[float, ...]
    variances: tuple[float, ...]
    counts: tuple[int, ...]
    clips: tuple[str, ...]


@dataclass(frozen=True)
class SensorProfileVersion:
    """One version of a profile; it never changes.

    Attributes:
        number: counts from 1; 0 until the store gives it one.
        toml: as it was sent, or written from what was sent.
        create_time: with a time zone, to the microsecond.
        request_id: of the request that made it; empty if it had none.
    """

    profile_id: str
    toml: str
    source: Source
    create_time: datetime
    calibration: Calibration | None = None
    request_id: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """``sensorProfiles/{profile_id}/versions/{number}``"""
        return sensor_profile_version_name(self.profile_id, str(self.number))

    def profile(self) -> SensorProfile:
        """What ``toml`` says."""
        return SensorProfile.from_toml(self.toml)


@dataclass(frozen=True)
class Measurement:
    """Which clips to measure and how; unchecked. ``method`` None leaves the choice to the footage."""

    clips: Sequence[str]
    dark_clips: Sequence[str] = ()
    method: Method | None = None

    def check(self) -> None:
        """Check how many clips there are, and that none is named twice.

        Raises:
            InvalidArgumentError: naming the field.
        """
        for field, clips, fewest in (("clips", self.clips, 1), ("dark_clips", self.dark_clips, 0)):
            if not fewest <= len(clips) <= MAX_CLIPS:
                raise InvalidArgumentError(
                    f"calibrate.{field}", f"{len(clips)} clips: give {fewest} to {MAX_CLIPS}"
                )
        seen: set[str] = set()
        for field, clips in (("clips", self.clips), ("dark_clips", self.dark_clips)):
            for index, clip in enumerate(clips):
                if clip in seen:
                    raise InvalidArgumentError(
                        f"calibrate.{field}[{index}]", f"{clip} is there already: name every clip once"
                    )
                seen.add(clip)


@dataclass(frozen=True)
class NewVersion:
    """What somebody asks for; unchecked. Exactly one source must be given."""

    profile_id: str
    toml: str | None = None
    libcamera: str | None = None
    metadata_of: str | None = None
    calibrate: Measurement | None = None
    request_id: str = ""

    def check(self) -> None:
        """Check all that needs no clip.

        Raises:
            InvalidArgumentError: naming the field.
        """
        validate_user_id(self.profile_id, "profile_id")
        if len(self.request_id) > _MAX_REQUEST_ID or not self.request_id.isprintable():
            raise InvalidArgumentError(
                "request_id",
                f"request_id must have at most {_MAX_REQUEST_ID} printable characters, such as a UUID; "
                f"got {self.request_id!r}",
            )
        sources = (self.toml, self.libcamera, self.metadata_of, self.calibrate)
        if sum(source is not None for source in sources) != 1:
            raise InvalidArgumentError(
                "source",
                "give one source: toml, libcamera, metadata_of or calibrate",
                reason="MISSING_SOURCE",
            )
        texts = (("toml", self.toml, MAX_TOML_BYTES), ("libcamera", self.libcamera, MAX_LIBCAMERA_BYTES))
        for field, text, most in texts:
            if text is not None and len(text.encode()) > most:
                raise InvalidArgumentError(
                    field, f"{field} has {len(text.encode())} bytes: give at most {most}"
                )
        if self.calibrate is not None:
            self.calibrate.check()

"""What a device must be to get something."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from autoisp_core.errors import InvalidArgumentError

MAX_PROFILES = 100

AppVersion = tuple[int, ...]
"""The numbers of a dotted version without zeros at the end: "1.10.0" is (1, 10)."""

_APP_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,7}")
_PROFILE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@lru_cache(maxsize=4096)
def app_version_from(text: str, field: str) -> AppVersion | None:
    """Read a dotted version; None if the text is empty.

    Raises:
        InvalidArgumentError: it is not 1 to 8 numbers of at most 9 digits with dots between.

    >>> app_version_from("1.10", "app_version") > app_version_from("1.9.3", "app_version")
    True
    """
    if not text:
        return None
    if not _APP_VERSION.fullmatch(text):
        raise InvalidArgumentError(
            field, f"{text[:80]!r} is no app version; give 1 to 8 numbers with dots between, such as 3.14.1"
        )
    numbers = [int(number) for number in text.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@lru_cache(maxsize=4096)
def validate_profile(profile: str, field: str) -> None:
    """Check the name of a device profile.

    Raises:
        InvalidArgumentError: it has another form.
    """
    if not _PROFILE.fullmatch(profile):
        raise InvalidArgumentError(
            field,
            f"{profile[:80]!r} can't name a device profile; use 1 to 63 lowercase letters, digits or '-', "
            "such as phone-npu-10",
        )


@dataclass(frozen=True)
class Device:
    """What a device says of itself.

    Attributes:
        profile: empty: unknown.
        app_version: None: unknown.
        current_version: number of the version that it runs; 0: none.
    """

    device_id: str
    profile: str = ""
    app_version: AppVersion | None = None
    current_version: int = 0


@dataclass(frozen=True)
class Constraints:
    """What binds; empty fields don't. Both ends of the app versions are included."""

    device_profiles: tuple[str, ...] = ()
    min_app_version: str = ""
    max_app_version: str = ""
    _least: AppVersion | None = field(init=False, compare=False, repr=False)
    _most: AppVersion | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_least", app_version_from(self.min_app_version, "min_app_version"))
        object.__setattr__(self, "_most", app_version_from(self.max_app_version, "max_app_version"))

    @property
    def empty(self) -> bool:
        """Whether nothing binds."""
        return not (self.device_profiles or self._least or self._most)

    def problem(self, device: Device) -> str:
        """Why the device is not let through; empty if it is."""
        if self.device_profiles and device.profile not in self.device_profiles:
            return f"its device profile {device.profile or 'is unknown and'} is none of the allowed ones"
        if self._least or self._most:
            if device.app_version is None:
                return "its app version is unknown"
            if self._least and device.app_version < self._least:
                return f"its app version is below {self.min_app_version}"
            if self._most and device.app_version > self._most:
                return f"its app version is above {self.max_app_version}"
        return ""


def constraints_from(profiles: tuple[str, ...], least: str, most: str, field: str) -> Constraints:
    """Check and build.

    Raises:
        InvalidArgumentError: naming the part of ``field`` that is wrong.
    """
    if len(profiles) > MAX_PROFILES:
        raise InvalidArgumentError(f"{field}.device_profiles", f"give at most {MAX_PROFILES} profiles")
    for profile in profiles:
        validate_profile(profile, f"{field}.device_profiles")
    low = app_version_from(least, f"{field}.min_app_version")
    high = app_version_from(most, f"{field}.max_app_version")
    if low and high and low > high:
        raise InvalidArgumentError(
            f"{field}.max_app_version",
            f"{most} is below min_app_version {least}: that lets no device through",
        )
    return Constraints(tuple(dict.fromkeys(profiles)), least, most)

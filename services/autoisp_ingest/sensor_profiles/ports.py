"""What the use cases need of the world."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from autoisp_core.pagination import Page, PageRequest
from numpy.typing import NDArray

from autoisp_ingest.domain import Clip
from autoisp_ingest.sensor_profiles.domain import SensorProfileVersion


class RawFrames(Protocol):
    """The opened frames of a raw clip. Blocks."""

    def __call__(self, first: int, end: int) -> NDArray[np.integer[Any]]:
        """(end - first, height, width) code values.

        Raises:
            DataLossError: the frames are not what was stored.
            UnavailableError: the store can't be reached.
        """
        ...


class RawReader(Protocol):
    """Opens the frames of raw clips. Blocks."""

    def open(self, clip: Clip) -> AbstractContextManager[RawFrames]:
        """The frames of ``clip``, whose format is Bayer.

        Raises:
            NotFoundError: there are none: the clip was deleted meanwhile.
            DataLossError: the frames are not what was stored.
            UnavailableError: the store can't be reached.
        """
        ...


class ClipLookup(Protocol):
    """Knows the clips."""

    async def find_clips(self, clip_ids: Sequence[str]) -> dict[str, Clip]:
        """Those that exist, by id."""
        ...


class SensorProfileStore(Protocol):
    """Remembers versions. Every method is one transaction."""

    async def add(self, version: SensorProfileVersion) -> SensorProfileVersion:
        """Add a version under the profile's next number; the profile is made with its first version.

        Returns:
            The version with its number.

        Raises:
            AlreadyExistsError: its request_id made another version; ``resource`` names that.
        """
        ...

    async def get(self, profile_id: str, number: int | None = None) -> SensorProfileVersion | None:
        """That version, or the newest; None if there is none."""
        ...

    async def find_request(self, request_id: str) -> SensorProfileVersion | None:
        """What the request with this id made, or None."""
        ...

    async def list_versions(self, profile_id: str, request: PageRequest) -> Page[SensorProfileVersion]:
        """A page of one profile's versions, newest first."""
        ...

    async def list_newest(self, request: PageRequest) -> Page[SensorProfileVersion]:
        """A page of the newest versions of all profiles, by the profiles' ids."""
        ...

    async def remove(self, profile_id: str) -> None:
        """Remove the profile with all its versions.

        Raises:
            NotFoundError: there is no such profile.
        """
        ...

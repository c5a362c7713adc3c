"""Making, reading and deleting versions of sensor profiles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from autoisp_core.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from autoisp_core.frames import FrameKind
from autoisp_core.names import CLIP, SENSOR_PROFILE, SENSOR_PROFILE_VERSION, clip_name
from autoisp_core.pagination import Page, PageRequest
from autoisp_core.sensor import SensorProfile

from autoisp_ingest.domain import Clip
from autoisp_ingest.sensor_profiles.calibrate import Calibrate
from autoisp_ingest.sensor_profiles.domain import Measurement, NewVersion, SensorProfileVersion, Source
from autoisp_ingest.sensor_profiles.libcamera import profile_from_libcamera
from autoisp_ingest.sensor_profiles.ports import ClipLookup, SensorProfileStore

_log = structlog.get_logger(__name__)
_EVERY_PROFILE = "sensorProfiles/-"


class SensorProfiles:
    """The collection ``sensorProfiles``."""

    def __init__(self, store: SensorProfileStore, clips: ClipLookup, calibrate: Calibrate) -> None:
        self._store = store
        self._clips = clips
        self._calibrate = calibrate

    async def create(self, new: NewVersion) -> SensorProfileVersion:
        """Add a version.

        Returns:
            The new version, or the one that the same request_id made before.

        Raises:
            InvalidArgumentError: naming the field, or the key of the profile.
            NotFoundError: a clip does not exist.
            FailedPreconditionError: a clip is not raw, or does not show what is needed.
            AlreadyExistsError: the request_id made a version of another profile.
        """
        new.check()
        made = await self._made_by(new)
        if made:
            return made
        version = await self._version(new)
        try:
            version = await self._store.add(version)
        except AlreadyExistsError:
            made = await self._made_by(new)  # the same request, twice at once
            if made:
                return made
            raise
        _log.info("sensor profile version created", name=version.name, source=version.source.value)
        return version

    async def get(self, name: str) -> SensorProfileVersion:
        """The version called ``sensorProfiles/{p}/versions/{v}``, or the newest of ``sensorProfiles/{p}``.

        Raises:
            InvalidArgumentError: that is no name of either.
            NotFoundError: there is none.
        """
        ids = SENSOR_PROFILE.match(name) or SENSOR_PROFILE_VERSION.parse(name)
        number = _number(name, ids[1]) if len(ids) > 1 else None
        version = await self._store.get(ids[0], number)
        if version is None:
            raise NotFoundError(name)
        return version

    async def list(self, parent: str, page_size: int, page_token: str) -> Page[SensorProfileVersion]:
        """A page of one profile's versions, newest first; of ``sensorProfiles/-``, of all newest ones.

        Raises:
            InvalidArgumentError: no such parent, a negative size, or a token of another list.
            NotFoundError: there is no such profile.
        """
        request = PageRequest.parse(page_size, page_token, parent)
        if parent == _EVERY_PROFILE:
            return await self._store.list_newest(request)
        (profile_id,) = SENSOR_PROFILE.parse(parent, "parent")
        page = await self._store.list_versions(profile_id, request)
        if not page.items and await self._store.get(profile_id) is None:
            raise NotFoundError(parent)
        return page

    async def delete(self, name: str) -> None:
        """Delete a profile with all its versions.

        Raises:
            InvalidArgumentError: that is no profile's name.
            NotFoundError: there is no such profile.
        """
        (profile_id,) = SENSOR_PROFILE.parse(name)
        await self._store.remove(profile_id)

    async def _made_by(self, new: NewVersion) -> SensorProfileVersion | None:
        made = await self._store.find_request(new.request_id) if new.request_id else None
        if made and made.profile_id != new.profile_id:
            raise AlreadyExistsError(
                made.name,
                f"request_id {new.request_id!r} made {made.name} already; give every request its own",
            )
        return made

    async def _version(self, new: NewVersion) -> SensorProfileVersion:
        version = SensorProfileVersion(
            new.profile_id, "", Source.TOML, datetime.now(UTC), request_id=new.request_id
        )
        if new.toml is not None:
            SensorProfile.from_toml(new.toml)
            return replace(version, toml=new.toml)
        if new.libcamera is not None:
            # Off the event loop: such a file may be a thousand times as long as a profile.
            profile = await asyncio.to_thread(profile_from_libcamera, new.profile_id, new.libcamera)
            return replace(version, toml=profile.to_toml(), source=Source.LIBCAMERA)
        if new.metadata_of is not None:
            profile = await self._metadata(new.profile_id, new.metadata_of)
            return replace(version, toml=profile.to_toml(), source=Source.METADATA)
        assert new.calibrate is not None  # one of the four is given
        return await self._measured(version, new.calibrate)

    async def _metadata(self, profile_id: str, name: str) -> SensorProfile:
        (clip,) = await self._raw_clips("metadata_of", [name])
        if clip.sensor is None:
            raise FailedPreconditionError(
                f"the file of {name} says nothing of its sensor; write the profile as TOML",
                reason="NO_SENSOR_METADATA",
                metadata={"resource": name, "field": "metadata_of"},
            )
        return replace(clip.sensor, name=profile_id)

    async def _measured(self, version: SensorProfileVersion, wanted: Measurement) -> SensorProfileVersion:
        clips = await self._raw_clips("calibrate.clips", wanted.clips)
        dark = await self._raw_clips("calibrate.dark_clips", wanted.dark_clips)
        newest = await self._store.get(version.profile_id)
        profile, calibration = await self._calibrate(
            version.profile_id, clips, dark, wanted.method, newest.profile() if newest else None
        )
        return replace(version, toml=profile.to_toml(), source=Source.CALIBRATION, calibration=calibration)

    async def _raw_clips(self, field: str, names: Sequence[str]) -> tuple[Clip, ...]:
        """The clips of these names, in their order."""
        ids = [
            CLIP.parse(name, field if field == "metadata_of" else f"{field}[{index}]")[0]
            for index, name in enumerate(names)
        ]
        found = await self._clips.find_clips(ids) if ids else {}
        for clip_id in ids:
            if clip_id not in found:
                raise NotFoundError(clip_name(clip_id), metadata={"field": field})
            if found[clip_id].format.kind is not FrameKind.BAYER:
                raise FailedPreconditionError(
                    f"{clip_name(clip_id)} is no raw footage: name a clip made from DNG, another camera raw "
                    "format or a raw dump",
                    reason="CLIP_NOT_RAW",
                    metadata={"resource": clip_name(clip_id), "field": field},
                )
        return tuple(found[clip_id] for clip_id in ids)


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise InvalidArgumentError(
            "name",
            f"{name!r}: versions are numbers, as in sensorProfiles/p/versions/1",
            reason="INVALID_NAME",
        )
    return int(text)

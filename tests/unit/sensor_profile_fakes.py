"""What the use cases of sensor profiles need, in memory, and raw clips in a real artifact store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from autoisp_core.errors import AlreadyExistsError, NotFoundError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.noise import Noise
from autoisp_core.pagination import Page, PageRequest
from autoisp_core.sensor import SensorProfile
from autoisp_ingest.domain import Clip
from autoisp_ingest.sensor_profiles.domain import SensorProfileVersion
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipWriter
from autoisp_testing.raw_scenes import Mosaic, RawCamera

NOW = datetime(2026, 2, 3, tzinfo=UTC)


@dataclass
class MemoryProfiles:
    """The port's semantics over a list; ``rival`` is added by somebody else just before the next add."""

    versions: list[SensorProfileVersion] = field(default_factory=list)
    rival: SensorProfileVersion | None = None

    async def add(self, version: SensorProfileVersion) -> SensorProfileVersion:
        if self.rival:
            rival, self.rival = self.rival, None
            await self.add(rival)
        made = await self.find_request(version.request_id) if version.request_id else None
        if made:
            raise AlreadyExistsError(made.name)
        newest = await self.get(version.profile_id)
        self.versions.append(replace(version, number=newest.number + 1 if newest else 1))
        return self.versions[-1]

    async def get(self, profile_id: str, number: int | None = None) -> SensorProfileVersion | None:
        own = [one for one in self.versions if one.profile_id == profile_id]
        if number is None:
            return own[-1] if own else None
        return next((one for one in own if one.number == number), None)

    async def find_request(self, request_id: str) -> SensorProfileVersion | None:
        return next((one for one in self.versions if one.request_id == request_id), None)

    async def list_versions(self, profile_id: str, request: PageRequest) -> Page[SensorProfileVersion]:
        own = [one for one in reversed(self.versions) if one.profile_id == profile_id]
        return request.page(own, key=lambda one: str(one.number))

    async def list_newest(self, request: PageRequest) -> Page[SensorProfileVersion]:
        newest = {one.profile_id: one for one in self.versions}
        return request.page(sorted(newest.values(), key=lambda one: one.profile_id), key=lambda one: one.name)

    async def remove(self, profile_id: str) -> None:
        if await self.get(profile_id) is None:
            raise NotFoundError(f"sensorProfiles/{profile_id}")
        self.versions = [one for one in self.versions if one.profile_id != profile_id]


class MemoryClips:
    """Clips by id; the frames of raw ones are in a store of their own."""

    def __init__(self, folder: Path) -> None:
        self.store = ArtifactStore(folder.as_uri())
        self.clips: dict[str, Clip] = {}

    async def find_clips(self, clip_ids: Sequence[str]) -> dict[str, Clip]:
        return {clip_id: self.clips[clip_id] for clip_id in clip_ids if clip_id in self.clips}

    def add(self, clip_id: str, frame_format: FrameFormat, frames: int, sensor: SensorProfile | None) -> Clip:
        """A clip without frames."""
        clip = Clip(
            id=clip_id,
            display_name=clip_id,
            format=frame_format,
            frame_count=frames,
            frame_rate=25.0,
            codec="dng",
            source_sha256=clip_id,
            source_size_bytes=1,
            frames_uri=f"clips/{clip_id}/frames",
            create_time=NOW,
            sensor=sensor,
        )
        self.clips[clip_id] = clip
        return clip

    def add_raw(
        self, clip_id: str, camera: RawCamera, frames: Iterable[Mosaic], *, noise: Noise | None = None
    ) -> Clip:
        """A raw clip of these frames; ``noise`` is what its metadata says, right or wrong."""
        mosaics = list(frames)
        height, width = mosaics[0].shape
        frame_format = FrameFormat(FrameKind.BAYER, camera.bits, width, height, cfa="GBRG")
        sensor = SensorProfile(
            f"sensor of {clip_id}",
            cfa="GBRG",
            black_level=camera.black_level,
            white_level=camera.white_level,
            gains=(1.6, 1.0, 2.2),
            test_noise=noise,
        )
        clip = self.add(clip_id, frame_format, len(mosaics), sensor)
        with ClipWriter(self.store, clip.frames_uri, frame_format, sensor) as writer:
            for index, mosaic in enumerate(mosaics):
                writer.append([mosaic], index * 40_000_000)
        return clip

"""Making, measuring, reading and deleting versions of sensor profiles."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoisp_core.errors import (
    AlreadyExistsError,
    AutoISPError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.noise import Noise
from autoisp_core.sensor import SensorProfile, builtin
from autoisp_ingest.sensor_profiles.calibrate import MOST_FRAMES, Calibrate
from autoisp_ingest.sensor_profiles.domain import (
    Measurement,
    Method,
    NewVersion,
    SensorProfileVersion,
    Source,
)
from autoisp_ingest.sensor_profiles.raw_frames import StoredRawReader
from autoisp_ingest.sensor_profiles.usecases import SensorProfiles
from autoisp_testing.raw_scenes import RawCamera, raw_footage
from sensor_profile_fakes import NOW, MemoryClips, MemoryProfiles

CAMERA = RawCamera(0.003, 5e-5, 12, 256)
TOML = 'name = "mine"  # with a comment\n'


@pytest.fixture
def store() -> MemoryProfiles:
    return MemoryProfiles()


@pytest.fixture
def clips(tmp_path: Path) -> MemoryClips:
    return MemoryClips(tmp_path)


@pytest.fixture
def profiles(store: MemoryProfiles, clips: MemoryClips) -> Iterator[SensorProfiles]:
    with ThreadPoolExecutor(1) as executor:
        yield SensorProfiles(store, clips, Calibrate(StoredRawReader(clips.store), executor))


def measured(*clips: str, dark: tuple[str, ...] = (), method: Method | None = None) -> NewVersion:
    return NewVersion("cam", calibrate=Measurement(clips, dark, method))


async def test_toml_stays_as_it_was_sent(profiles: SensorProfiles) -> None:
    version = await profiles.create(NewVersion("cam", toml=TOML))
    assert (version.name, version.toml) == ("sensorProfiles/cam/versions/1", TOML)
    assert version.source is Source.TOML
    assert version.profile().name == "mine"
    assert await profiles.get(version.name) == version
    assert await profiles.get("sensorProfiles/cam") == version


async def test_tuning_files_are_read_off_the_event_loop(
    profiles: SensorProfiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def read(name: str, text: str) -> SensorProfile:
        threads.append(threading.current_thread())
        return replace(builtin("phone"), name=name)

    monkeypatch.setattr("autoisp_ingest.sensor_profiles.usecases.profile_from_libcamera", read)
    version = await profiles.create(NewVersion("cam", libcamera="{}"))
    assert (version.source, version.profile().name) == (Source.LIBCAMERA, "cam")
    assert threads != [threading.current_thread()]


async def test_the_same_request_again_is_the_same_version(profiles: SensorProfiles) -> None:
    first = await profiles.create(NewVersion("cam", toml=TOML, request_id="r"))
    assert await profiles.create(NewVersion("cam", toml=TOML, request_id="r")) == first
    with pytest.raises(AlreadyExistsError) as caught:
        await profiles.create(NewVersion("other", toml=TOML, request_id="r"))
    assert caught.value.resource == first.name


async def test_the_same_request_twice_at_once(profiles: SensorProfiles, store: MemoryProfiles) -> None:
    store.rival = SensorProfileVersion("cam", TOML, Source.TOML, NOW, request_id="r")
    assert (await profiles.create(NewVersion("cam", toml=TOML, request_id="r"))).number == 1
    store.rival = SensorProfileVersion("other", TOML, Source.TOML, NOW, request_id="s")
    with pytest.raises(AlreadyExistsError):
        await profiles.create(NewVersion("cam", toml=TOML, request_id="s"))


async def test_metadata_becomes_a_profile_under_its_own_name(
    profiles: SensorProfiles, clips: MemoryClips
) -> None:
    clip = clips.add_raw(
        "a", CAMERA, raw_footage(CAMERA, 2, seed=0, height=64, width=64), noise=Noise(0.1, 0.2)
    )
    assert clip.sensor is not None
    version = await profiles.create(NewVersion("cam", metadata_of=clip.name))
    assert version.source is Source.METADATA
    assert version.profile() == replace(clip.sensor, name="cam")


async def test_static_frames_are_measured(profiles: SensorProfiles, clips: MemoryClips) -> None:
    clip = clips.add_raw("a", CAMERA, raw_footage(CAMERA, 8, seed=1), noise=Noise(0.1, 0.2))
    version = await profiles.create(measured(clip.name))
    found = version.calibration
    assert found is not None
    assert found.method is Method.STATIC_FRAMES
    assert found.noise.shot == pytest.approx(CAMERA.shot, rel=0.05)
    assert found.noise.read == pytest.approx(CAMERA.measured_read, rel=0.05)
    assert (found.black_level, found.white_level, found.clips) == (256.0, 4095.0, (clip.name,))
    assert len(found.means) == len(found.variances) == len(found.counts) <= 256
    profile = version.profile()
    assert profile.test_noise == found.noise
    assert profile.noise_range.at(0.5).shot == pytest.approx(found.noise.shot)
    assert (profile.name, profile.cfa, profile.gains) == ("cam", "GBRG", (1.6, 1.0, 2.2))


async def test_flat_patches_are_measured_over_several_clips(
    profiles: SensorProfiles, clips: MemoryClips
) -> None:
    names = [clips.add_raw(f"c{n}", CAMERA, raw_footage(CAMERA, 2, seed=n)).name for n in (1, 2)]
    found = (await profiles.create(measured(*names, method=Method.FLAT_PATCHES))).calibration
    assert found is not None
    assert found.method is Method.FLAT_PATCHES
    assert found.noise.shot == pytest.approx(CAMERA.shot, rel=0.05)
    assert found.clips == tuple(names)


async def test_dark_frames_give_the_black_level(profiles: SensorProfiles, clips: MemoryClips) -> None:
    """Metadata that is wrong about it would put an error of shot times the difference into the read noise."""
    truth = replace(CAMERA, black_level=251)
    scene = clips.add_raw("a", CAMERA, raw_footage(truth, 8, seed=1))
    source = np.random.default_rng(0)
    dark = clips.add_raw("d", CAMERA, [truth.expose(np.zeros((64, 96)), source) for _ in range(3)])
    version = await profiles.create(measured(scene.name, dark=(dark.name,)))
    assert version.calibration is not None
    assert version.calibration.black_level == pytest.approx(251, abs=0.3)
    assert version.profile().black_level == version.calibration.black_level
    assert version.calibration.noise.read == pytest.approx(truth.measured_read, rel=0.05)


async def test_colour_stays_that_of_the_newest_version(profiles: SensorProfiles, clips: MemoryClips) -> None:
    """No noise tells gains and matrix: what was imported before is kept."""
    phone = builtin("phone")
    await profiles.create(NewVersion("cam", toml=phone.to_toml()))
    clip = clips.add_raw("a", CAMERA, raw_footage(CAMERA, 4, seed=1))
    profile = (await profiles.create(measured(clip.name))).profile()
    assert (profile.gains, profile.ccm) == (phone.gains, phone.ccm)
    assert (profile.cfa, profile.white_level) == ("GBRG", 4095.0)


async def test_a_long_clip_is_read_in_part(clips: MemoryClips) -> None:
    """However long the footage is, time and memory are bounded."""
    clip = clips.add_raw("a", CAMERA, raw_footage(CAMERA, 80, seed=1, height=96, width=96, moving=False))
    seen: list[tuple[int, int]] = []

    class Counting(StoredRawReader):
        def open(self, clip: Any) -> Any:
            opened = super().open(clip)

            class Frames:
                def __enter__(self) -> Any:
                    read = opened.__enter__()
                    return lambda first, end: (seen.append((first, end)), read(first, end))[1]

                def __exit__(self, *error: Any) -> None:
                    opened.__exit__(*error)

            return Frames()

    with ThreadPoolExecutor(1) as executor:
        calibrate = Calibrate(Counting(clips.store), executor)
        await calibrate("cam", [clip], [], Method.STATIC_FRAMES, None)
    assert sum(end - first for first, end in seen) == MOST_FRAMES
    assert len(set(seen)) == len(seen)
    assert seen[-1][1] > 70


async def test_a_cancelled_measurement_lets_its_thread_go(clips: MemoryClips) -> None:
    clip = clips.add_raw("a", CAMERA, raw_footage(CAMERA, 16, seed=1))
    with ThreadPoolExecutor(1) as executor:
        calibrate = Calibrate(StoredRawReader(clips.store), executor)
        work = asyncio.ensure_future(calibrate("cam", [clip], [], None, None))
        await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


_VIDEO = FrameFormat(FrameKind.YUV, 8, 64, 64, h_step=2, v_step=2, matrix="bt709")
_RAW = FrameFormat(FrameKind.BAYER, 12, 64, 64, cfa="RGGB")


@pytest.mark.parametrize(
    ("new", "error", "field"),
    [
        (NewVersion("Cam", toml=TOML), InvalidArgumentError, "profile_id"),
        (NewVersion("", toml=TOML), InvalidArgumentError, "profile_id"),
        (NewVersion("cam"), InvalidArgumentError, "source"),
        (NewVersion("cam", toml=TOML, request_id="x" * 200), InvalidArgumentError, "request_id"),
        (NewVersion("cam", toml="name = 3"), InvalidArgumentError, "sensor.name"),
        (NewVersion("cam", toml="a=" + "[" * 10_000), InvalidArgumentError, "sensor"),
        (NewVersion("cam", toml="#" * (1 << 15)), InvalidArgumentError, "toml"),
        (NewVersion("cam", libcamera=" " * (1 << 21)), InvalidArgumentError, "libcamera"),
        (NewVersion("cam", libcamera="{}"), InvalidArgumentError, "libcamera"),
        (NewVersion("cam", metadata_of="a"), InvalidArgumentError, "metadata_of"),
        (NewVersion("cam", metadata_of="clips/none"), NotFoundError, "metadata_of"),
        (NewVersion("cam", metadata_of="clips/video"), FailedPreconditionError, "metadata_of"),
        (NewVersion("cam", metadata_of="clips/bare"), FailedPreconditionError, "metadata_of"),
        (measured(), InvalidArgumentError, "calibrate.clips"),
        (measured(*(f"clips/c{n}" for n in range(17))), InvalidArgumentError, "calibrate.clips"),
        (measured("clips/raw", "clips/raw"), InvalidArgumentError, "calibrate.clips[1]"),
        (measured("clips/raw", dark=("clips/raw",)), InvalidArgumentError, "calibrate.dark_clips[0]"),
        (measured("raw"), InvalidArgumentError, "calibrate.clips[0]"),
        (measured("clips/none"), NotFoundError, "calibrate.clips"),
        (measured("clips/video"), FailedPreconditionError, "calibrate.clips"),
        (measured("clips/raw", dark=("clips/video",)), FailedPreconditionError, "calibrate.dark_clips"),
        (measured("clips/raw", "clips/other"), InvalidArgumentError, "calibrate.clips[1]"),
        (measured("clips/wall"), FailedPreconditionError, "calibrate.clips"),
        (measured("clips/wall", method=Method.FLAT_PATCHES), FailedPreconditionError, "calibrate.clips"),
        (measured("clips/still", method=Method.STATIC_FRAMES), FailedPreconditionError, "calibrate.method"),
        (measured("clips/raw", dark=("clips/wall",)), FailedPreconditionError, "calibrate.dark_clips"),
        (measured("clips/gone"), NotFoundError, None),
    ],
)
async def test_refusals_name_the_field_and_the_fix(
    profiles: SensorProfiles,
    store: MemoryProfiles,
    clips: MemoryClips,
    new: NewVersion,
    error: type[AutoISPError],
    field: str | None,
) -> None:
    source = np.random.default_rng(0)
    clips.add("video", _VIDEO, 4, None)
    clips.add("bare", _RAW, 4, None)
    clips.add("gone", _RAW, 4, builtin("phone"))
    clips.add_raw("raw", CAMERA, raw_footage(CAMERA, 2, seed=0, height=96, width=96))
    clips.add_raw("still", CAMERA, raw_footage(CAMERA, 1, seed=0, height=96, width=96))
    clips.add_raw(
        "other", replace(CAMERA, black_level=64), raw_footage(CAMERA, 2, seed=0, height=64, width=64)
    )
    clips.add_raw("wall", CAMERA, [CAMERA.expose(np.full((64, 64), 0.7), source) for _ in range(2)])
    with pytest.raises(error) as caught:
        await profiles.create(new)
    assert caught.value.metadata.get("field") == field
    assert len(caught.value.message) > 20
    assert store.versions == []


async def test_reading_and_deleting(profiles: SensorProfiles) -> None:
    for name in ("b", "a", "b"):
        await profiles.create(NewVersion(name, toml=TOML))
    newest = await profiles.list("sensorProfiles/-", 0, "")
    assert [one.name for one in newest.items] == [
        "sensorProfiles/a/versions/1",
        "sensorProfiles/b/versions/2",
    ]
    assert [one.number for one in (await profiles.list("sensorProfiles/b", 0, "")).items] == [2, 1]
    page = await profiles.list("sensorProfiles/b", 1, "")
    with pytest.raises(InvalidArgumentError, match="page_token"):
        await profiles.list("sensorProfiles/a", 1, page.next_page_token)
    await profiles.delete("sensorProfiles/b")
    for call in (profiles.get, profiles.delete, lambda name: profiles.list(name, 0, "")):
        with pytest.raises(NotFoundError):
            await call("sensorProfiles/b")


@pytest.mark.parametrize("name", ["cam", "sensorProfiles/", "sensorProfiles/c/versions/", "clips/c", ""])
async def test_other_names_are_refused(profiles: SensorProfiles, name: str) -> None:
    for call in (profiles.get, profiles.delete, lambda parent: profiles.list(parent, 0, "")):
        with pytest.raises(InvalidArgumentError):
            await call(name)


async def test_versions_are_numbers(profiles: SensorProfiles) -> None:
    for text, error in (
        ("latest", InvalidArgumentError),
        ("9" * 30, InvalidArgumentError),
        ("7", NotFoundError),
    ):
        with pytest.raises(error):
            await profiles.get(f"sensorProfiles/cam/versions/{text}")

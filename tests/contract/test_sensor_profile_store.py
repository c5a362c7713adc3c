"""What the use cases of sensor profiles rely on, over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from autoisp_core.errors import AlreadyExistsError, NotFoundError
from autoisp_core.noise import Noise
from autoisp_core.pagination import PageRequest
from autoisp_ingest.sensor_profiles.domain import Calibration, Method, SensorProfileVersion, Source
from autoisp_ingest.sensor_profiles.store import SqlSensorProfileStore
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate

NOW = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)

MEASURED = Calibration(
    noise=Noise(0.01, 0.0005),
    shot_interval=1e-4,
    read_interval=2e-5,
    r_squared=0.999,
    black_level=63.75,
    white_level=1023.0,
    method=Method.STATIC_FRAMES,
    means=(0.1, 0.5),
    variances=(0.0015, 0.0055),
    counts=(6400, 1 << 40),
    clips=("clips/a", "clips/b"),
)


def version(profile_id: str, text: str = "", request_id: str = "") -> SensorProfileVersion:
    toml = text or f'name = "größe {profile_id}"\n'
    return SensorProfileVersion(profile_id, toml, Source.TOML, NOW, request_id=request_id)


class TestSensorProfileStore:
    @pytest_asyncio.fixture
    async def store(self, database: Database) -> SqlSensorProfileStore:
        await migrate(database, "autoisp_ingest.migrations")
        return SqlSensorProfileStore(database)

    async def test_a_version_comes_back_as_it_was(self, store: SqlSensorProfileStore) -> None:
        assert await store.get("a") is None
        plain = await store.add(version("a"))
        assert plain == replace(version("a"), number=1)
        measured = replace(
            version("a", request_id="r"), source=Source.CALIBRATION, calibration=MEASURED, toml="x\n" * 40_000
        )
        assert await store.add(measured) == replace(measured, number=2)
        assert await store.get("a") == replace(measured, number=2)
        assert await store.get("a", 1) == plain
        assert await store.get("a", 3) is None
        assert await store.find_request("r") == replace(measured, number=2)
        assert await store.find_request("other") is None

    async def test_one_request_makes_one_version(self, store: SqlSensorProfileStore) -> None:
        await store.add(version("a", request_id="r"))
        for profile in ("a", "b"):
            with pytest.raises(AlreadyExistsError) as caught:
                await store.add(version(profile, request_id="r"))
            assert caught.value.resource == "sensorProfiles/a/versions/1"
        assert await store.get("b") is None

    async def test_versions_added_at_once_all_get_a_number(self, store: SqlSensorProfileStore) -> None:
        added = await asyncio.gather(*(store.add(version("a", f'name = "{n}"')) for n in range(6)))
        assert sorted(one.number for one in added) == [1, 2, 3, 4, 5, 6]
        for one in added:
            assert await store.get("a", one.number) == one

    async def test_versions_are_listed_newest_first(self, store: SqlSensorProfileStore) -> None:
        for profile in ("a", "b", "a", "a"):
            await store.add(version(profile))
        first = await store.list_versions("a", PageRequest.parse(2, "", "q"))
        assert [one.number for one in first.items] == [3, 2]
        await store.add(version("a"))  # what is added meanwhile does not shift the next page
        rest = await store.list_versions("a", PageRequest.parse(2, first.next_page_token, "q"))
        assert [one.number for one in rest.items] == [1]
        assert rest.next_page_token == ""

    async def test_the_newest_of_every_profile_is_listed_by_name(self, store: SqlSensorProfileStore) -> None:
        for profile in ("c", "a", "b", "a"):
            await store.add(version(profile))
        first = await store.list_newest(PageRequest.parse(2, "", "q"))
        rest = await store.list_newest(PageRequest.parse(2, first.next_page_token, "q"))
        names = [one.name for page in (first, rest) for one in page.items]
        assert names == [
            "sensorProfiles/a/versions/2",
            "sensorProfiles/b/versions/1",
            "sensorProfiles/c/versions/1",
        ]

    async def test_a_removed_profile_leaves_nothing(self, store: SqlSensorProfileStore) -> None:
        await store.add(version("a", request_id="r"))
        await store.add(version("a"))
        await store.remove("a")
        assert await store.get("a") is None
        assert await store.find_request("r") is None
        with pytest.raises(NotFoundError):
            await store.remove("a")
        assert (await store.add(version("a"))).number == 1

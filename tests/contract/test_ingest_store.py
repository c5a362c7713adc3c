"""What the use cases rely on, over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    NotFoundError,
)
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.pagination import Page, PageRequest
from autoisp_core.sensor import builtin
from autoisp_ingest.bus import clip_ingested
from autoisp_ingest.domain import Clip, Dataset, DatasetClip, Split
from autoisp_ingest.store import SqlIngestStore, metadata, outbox
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import differences, migrate
from autoisp_runtime.outbox import Outbox
from sqlalchemy import column, insert, table

NOW = datetime(2026, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC)


def clip(number: int, frames: str = "a") -> Clip:
    clip_id = f"c{number:020x}"
    return Clip(
        id=clip_id,
        display_name=f"clip {number} größe",
        format=FrameFormat(FrameKind.BAYER, 12, 65, 97, cfa="BGGR", rotation=90),
        frame_count=12,
        frame_rate=30000 / 1001,
        codec="h264",
        source_sha256=f"{number:064x}",
        source_size_bytes=5 << 32,
        frames_uri=f"clips/{clip_id}/{frames}",
        create_time=NOW,
        variable_frame_rate=number % 2 == 1,
        duration_seconds=0.4004,
        sensor=builtin("phone") if number % 2 else None,
    )


def dataset(dataset_id: str, *clips: Clip, request_id: str = "") -> Dataset:
    splits = (Split.TRAIN, Split.VALIDATION, Split.TEST)
    return Dataset(
        id=dataset_id,
        display_name="",
        clips=tuple(
            DatasetClip(one.id, split, 0, 5 + index)
            for index, (one, split) in enumerate(zip(clips, splits, strict=True))
        ),
        manifest=Artifact("blobs/aa/aa", "a" * 64, 3, "application/x-protobuf"),
        create_time=NOW,
        request_id=request_id,
        tags=("night", "p-series"),
    )


async def add(store: SqlIngestStore, added: Clip) -> Clip:
    """As :class:`autoisp_ingest.usecases.NewClips` does: reserved first."""
    await store.reserve_frames(added.frames_uri, "adds", NOW)
    return await store.add_clip(added)


class TestIngestStore:
    @pytest_asyncio.fixture
    async def outbox(self, database: Database) -> AsyncIterator[Outbox]:
        await migrate(database, "autoisp_ingest.migrations")
        yield Outbox(database, outbox)

    @pytest.fixture
    def store(self, database: Database, outbox: Outbox) -> SqlIngestStore:
        return SqlIngestStore(database, outbox, clip_ingested)

    @pytest_asyncio.fixture
    async def three(self, store: SqlIngestStore) -> tuple[Clip, Clip, Clip]:
        return (await add(store, clip(1)), await add(store, clip(2)), await add(store, clip(3)))

    async def test_migrations_and_tables_agree(self, store: SqlIngestStore, database: Database) -> None:
        assert await differences(database, metadata) == []

    async def test_a_clip_comes_back_as_it_was(self, store: SqlIngestStore) -> None:
        assert await store.get_clip(clip(1).id) is None
        assert await add(store, clip(1)) == clip(1)
        assert await store.get_clip(clip(1).id) == clip(1)

    async def test_the_first_of_equal_clips_wins(self, store: SqlIngestStore, outbox: Outbox) -> None:
        await add(store, clip(1, "first"))
        assert await add(store, clip(1, "second")) == clip(1, "first")
        assert await outbox.pending() == 1

    async def test_equal_clips_at_once(self, store: SqlIngestStore, outbox: Outbox) -> None:
        added = await asyncio.gather(*(add(store, clip(1, f"try-{n}")) for n in range(8)))
        assert len({one.frames_uri for one in added}) == 1
        assert await outbox.pending() == 1

    async def test_frames_belong_to_nobody_until_a_clip_has_them(self, store: SqlIngestStore) -> None:
        await store.reserve_frames(clip(1).frames_uri, "me", NOW)
        await store.reserve_frames("clips/c/other", "another", NOW)
        assert await store.unowned_frames("me", NOW) == [clip(1).frames_uri]
        assert set(await store.unowned_frames("me", NOW + timedelta(seconds=1))) == {
            clip(1).frames_uri,
            "clips/c/other",
        }
        await store.add_clip(clip(1))
        assert await store.unowned_frames("me", NOW) == []
        await store.release_frames("clips/c/other")
        await store.release_frames("clips/c/other")
        assert await store.unowned_frames("another", NOW) == []

    async def test_a_clip_needs_the_note_of_its_frames(self, store: SqlIngestStore, outbox: Outbox) -> None:
        with pytest.raises(AbortedError, match="cleared up meanwhile; send it again"):
            await store.add_clip(clip(1))
        assert await store.get_clip(clip(1).id) is None
        assert await outbox.pending() == 0

    async def test_frames_that_are_given_up_become_no_clip(self, store: SqlIngestStore) -> None:
        uri, later = clip(1).frames_uri, NOW + timedelta(hours=25)
        await store.reserve_frames(uri, "another", NOW)
        assert not await store.give_up_frames(uri, "me", NOW)
        assert not await store.give_up_frames("clips/c/none", "another", later)
        assert await store.give_up_frames(uri, "me", later)
        assert not await store.renew_frames(uri, later)
        with pytest.raises(AbortedError):
            await store.add_clip(clip(1))
        assert await store.unowned_frames("me", NOW) == [uri]  # until they are deleted
        assert await store.give_up_frames(uri, "me", NOW)
        await store.release_frames(uri)
        assert await store.unowned_frames("me", later) == []

    async def test_a_renewed_note_is_as_a_new_one(self, store: SqlIngestStore) -> None:
        uri, later = clip(1).frames_uri, NOW + timedelta(hours=25)
        await store.reserve_frames(uri, "another", NOW)
        assert await store.renew_frames(uri, later)
        assert not await store.give_up_frames(uri, "me", later)
        assert await store.unowned_frames("me", later) == []
        await store.add_clip(clip(1))
        assert not await store.renew_frames(uri, later)

    async def test_frames_given_up_and_made_a_clip_at_once(self, store: SqlIngestStore) -> None:
        later = NOW + timedelta(hours=25)
        for number in range(5):
            await store.reserve_frames(clip(number).frames_uri, "another", NOW)
            gone, added = await asyncio.gather(
                store.give_up_frames(clip(number).frames_uri, "me", later),
                store.add_clip(clip(number)),
                return_exceptions=True,
            )
            assert gone is isinstance(added, AbortedError)
            assert (await store.get_clip(clip(number).id) is None) is gone

    async def test_a_removed_clip_leaves_its_frames_to_be_deleted(self, store: SqlIngestStore) -> None:
        await add(store, clip(1))
        assert await store.remove_clip(clip(1).id, "me", NOW) == clip(1)
        assert await store.get_clip(clip(1).id) is None
        assert await store.unowned_frames("me", NOW) == [clip(1).frames_uri]
        with pytest.raises(NotFoundError):
            await store.remove_clip(clip(1).id, "me", NOW)

    async def test_a_used_clip_is_not_removed(
        self, store: SqlIngestStore, three: tuple[Clip, Clip, Clip]
    ) -> None:
        await store.add_dataset(dataset("b", *three))
        await store.add_dataset(dataset("a", *three))
        with pytest.raises(FailedPreconditionError, match=r"datasets/a, datasets/b"):
            await store.remove_clip(three[0].id, "me", NOW)
        assert await store.unowned_frames("me", NOW) == []
        await store.remove_dataset("a")
        await store.remove_dataset("b")
        await store.remove_clip(three[0].id, "me", NOW)

    async def test_clips_are_found_by_many_ids(self, store: SqlIngestStore, three: tuple[Clip, ...]) -> None:
        ids = [three[0].id, three[2].id, *(f"c{number}" for number in range(1200))]
        assert await store.find_clips(ids) == {three[0].id: three[0], three[2].id: three[2]}
        assert await store.find_clips([]) == {}

    async def test_pages_of_clips_are_in_order_of_creation(self, store: SqlIngestStore) -> None:
        numbers = [5, 3, 9, 1, 7]
        for number in numbers:
            await add(store, clip(number))
            await asyncio.sleep(0.002)  # ids sort to the millisecond
        found: list[Clip] = []
        page: Page[Clip] = Page((), "")
        while not found or page.next_page_token:
            page = await store.list_clips(PageRequest.parse(2, page.next_page_token))
            found += page.items
        assert found == [clip(number) for number in numbers]

    async def test_a_dataset_comes_back_as_it_was(
        self, store: SqlIngestStore, three: tuple[Clip, Clip, Clip]
    ) -> None:
        made = dataset("streets", *three, request_id="r-1")
        await store.add_dataset(made)
        await asyncio.sleep(0.002)
        await store.add_dataset(dataset("plain", *three))
        assert await store.get_dataset("streets") == made
        assert await store.find_request("r-1") == made
        assert await store.find_request("r-2") is None
        assert await store.get_dataset("unknown") is None
        page = await store.list_datasets(PageRequest.parse(1, ""))
        assert page.items == (made,)
        page = await store.list_datasets(PageRequest.parse(1, page.next_page_token))
        assert (page.items, page.next_page_token) == ((dataset("plain", *three),), "")

    async def test_publication_is_noted(self, store: SqlIngestStore, three: tuple[Clip, Clip, Clip]) -> None:
        await store.add_dataset(dataset("a", *three))
        assert await store.unpublished_datasets() == [dataset("a", *three)]
        await store.mark_published("a")
        assert await store.unpublished_datasets() == []

    async def test_ids_and_requests_are_unique(
        self, store: SqlIngestStore, three: tuple[Clip, Clip, Clip]
    ) -> None:
        await store.add_dataset(dataset("a", *three, request_id="r"))
        with pytest.raises(AlreadyExistsError, match="datasets/a"):
            await store.add_dataset(dataset("a", *three))
        with pytest.raises(AlreadyExistsError, match="datasets/a"):
            await store.add_dataset(dataset("b", *three, request_id="r"))
        assert await store.get_dataset("b") is None

    async def test_equal_requests_at_once(
        self, store: SqlIngestStore, three: tuple[Clip, Clip, Clip]
    ) -> None:
        tries = (store.add_dataset(dataset(f"d{n}", *three, request_id="r")) for n in range(6))
        ended = await asyncio.gather(*tries, return_exceptions=True)
        assert [one for one in ended if one is None] == [None]
        assert all(one is None or isinstance(one, AlreadyExistsError) for one in ended)
        assert len((await store.list_datasets(PageRequest.parse(0, ""))).items) == 1

    async def test_a_clip_that_was_deleted_meanwhile(self, store: SqlIngestStore) -> None:
        some = [clip(1), clip(2), clip(3)]
        for one in some[:2]:
            await add(store, one)
        with pytest.raises(AbortedError):
            await store.add_dataset(dataset("a", *some))
        assert await store.get_dataset("a") is None

    async def test_a_clip_deleted_and_used_at_once(self, store: SqlIngestStore) -> None:
        for attempt in range(5):
            some = [clip(3 * attempt + n) for n in range(3)]
            for one in some:
                await add(store, one)
            used, removed = await asyncio.gather(
                store.add_dataset(dataset(f"d{attempt}", *some)),
                store.remove_clip(some[0].id, "me", NOW),
                return_exceptions=True,
            )
            # Exactly one of the two happened.
            assert isinstance(used, AbortedError) != isinstance(
                removed, FailedPreconditionError | AbortedError
            )
            assert (await store.get_clip(some[0].id) is None) == isinstance(used, AbortedError)

    async def test_unknown_datasets(self, store: SqlIngestStore) -> None:
        with pytest.raises(NotFoundError, match="datasets/a"):
            await store.remove_dataset("a")


async def test_clips_of_the_first_schema_stay(database: Database) -> None:
    package = "autoisp_ingest.migrations"
    await migrate(database, package, "0001")
    old = {
        "clips": {
            "id": "c1",
            "order_key": "a",
            "display_name": "old",
            "width": 64,
            "height": 96,
            "frame_count": 50,
            "frame_rate": 25.0,
            "codec": "h264",
            "source_sha256": "0" * 64,
            "source_size_bytes": 1,
            "frames_uri": "clips/c1/x",
            "create_time_us": 0,
        },
        "datasets": {
            "id": "d1",
            "order_key": "a",
            "display_name": "",
            "manifest_uri": "blobs/x",
            "manifest_sha256": "0" * 64,
            "manifest_size_bytes": 1,
            "manifest_media_type": "x",
            "create_time_us": 0,
            "published": True,
        },
        "dataset_clips": {
            "dataset_id": "d1",
            "position": 0,
            "clip_id": "c1",
            "split": "TRAIN",
            "first_frame": 0,
            "end_frame": 50,
        },
    }
    async with database.transaction() as session:
        for name, values in old.items():
            columns = [column(key) for key in values]
            await session.execute(insert(table(name, *columns)).values(values))

    await migrate(database, package)

    store = SqlIngestStore(database, Outbox(database, outbox), clip_ingested)
    kept = await store.get_clip("c1")
    assert kept is not None
    assert (kept.format, kept.duration_seconds) == (FrameFormat(FrameKind.RGB, 8, 64, 96), 2.0)
    made = await store.get_dataset("d1")
    assert made is not None
    assert ([part.clip_id for part in made.clips], made.tags) == (["c1"], ())

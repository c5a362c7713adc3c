"""Use cases with fakes: what happens in which order, and what stays after an error."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    AbortedError,
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.pagination import Page, PageRequest
from autoisp_core.sensor import SensorProfile
from autoisp_ingest.domain import (
    Clip,
    Dataset,
    DatasetClip,
    Footage,
    RequestedClip,
    Split,
    Spooled,
    StoredFrame,
    Upload,
    UploadHeader,
)
from autoisp_ingest.usecases import (
    Clips,
    Datasets,
    DecodeClip,
    ImportClip,
    Leftovers,
    NewClips,
    NewDataset,
    Source,
    Uploads,
)
from numpy.typing import NDArray

OWNER = "o1"
HEADER = UploadHeader("a.mp4", 3, "ab" * 32)
FORMAT = FrameFormat(FrameKind.GRAY, 8, 64, 64)
PLANES = (np.zeros((64, 64), np.uint8),)


class FakeStore:
    """The port, in dictionaries."""

    def __init__(self) -> None:
        self.clips: dict[str, Clip] = {}
        self.adding = asyncio.Event()
        self.commit_seconds = 0.0
        self.away = False
        self.unowned: dict[str, tuple[str, datetime]] = {}
        self.wanted: set[str] = set()
        self.renewed = asyncio.Event()
        self.datasets: dict[str, Dataset] = {}
        self.published: set[str] = set()

    async def reserve_frames(self, uri: str, owner: str, at: datetime) -> None:
        self.unowned[uri] = (owner, at)

    async def renew_frames(self, uri: str, at: datetime) -> bool:
        if uri not in self.unowned:
            return False
        self.unowned[uri] = (self.unowned[uri][0], at)
        self.renewed.set()
        return True

    async def give_up_frames(self, uri: str, owner: str, before: datetime) -> bool:
        return uri in await self.unowned_frames(owner, before) and uri not in self.wanted

    async def release_frames(self, uri: str) -> None:
        self.unowned.pop(uri, None)

    async def unowned_frames(self, owner: str, before: datetime) -> list[str]:
        return [uri for uri, (who, at) in self.unowned.items() if who == owner or at < before]

    async def add_clip(self, clip: Clip) -> Clip:
        self.adding.set()
        await asyncio.sleep(self.commit_seconds)
        if self.away:
            raise UnavailableError("nobody knows whether that was committed")
        if clip.id not in self.clips and self.unowned.pop(clip.frames_uri, None) is None:
            raise AbortedError("cleared up")
        return self.clips.setdefault(clip.id, clip)

    async def get_clip(self, clip_id: str) -> Clip | None:
        if self.away and self.adding.is_set():
            raise UnavailableError("away")
        return self.clips.get(clip_id)

    async def find_clips(self, clip_ids: Sequence[str]) -> dict[str, Clip]:
        return {one: self.clips[one] for one in clip_ids if one in self.clips}

    async def list_clips(self, request: PageRequest) -> Page[Clip]:
        return Page(tuple(self.clips.values()))

    async def remove_clip(self, clip_id: str, owner: str, at: datetime) -> Clip:
        if clip_id not in self.clips:
            raise NotFoundError(f"clips/{clip_id}")
        clip = self.clips.pop(clip_id)
        self.unowned[clip.frames_uri] = (owner, at)
        return clip

    async def add_dataset(self, dataset: Dataset) -> None:
        same_request = dataset.request_id and await self.find_request(dataset.request_id)
        if dataset.id in self.datasets or same_request:
            raise AlreadyExistsError(dataset.name)
        self.datasets[dataset.id] = dataset

    async def mark_published(self, dataset_id: str) -> None:
        self.published.add(dataset_id)

    async def unpublished_datasets(self) -> list[Dataset]:
        return [one for one in self.datasets.values() if one.id not in self.published]

    async def get_dataset(self, dataset_id: str) -> Dataset | None:
        return self.datasets.get(dataset_id)

    async def find_request(self, request_id: str) -> Dataset | None:
        return next((one for one in self.datasets.values() if one.request_id == request_id), None)

    async def list_datasets(self, request: PageRequest) -> Page[Dataset]:
        return Page(tuple(self.datasets.values()))

    async def remove_dataset(self, dataset_id: str) -> None:
        del self.datasets[dataset_id]


class FakeFrames:
    """Counts frames; may be full, or away."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.full = self.away = False

    @contextmanager
    def writer(
        self, uri: str, frame_format: FrameFormat, sensor: SensorProfile | None
    ) -> Iterator[FakeWriter]:
        self.kept[uri] = 0
        yield FakeWriter(self, uri)

    def gathered_bytes(self, frame_format: FrameFormat) -> int:
        return 0

    def delete(self, uri: str) -> None:
        if self.away:
            raise UnavailableError("away")
        self.kept.pop(uri, None)


class FakeWriter:
    def __init__(self, frames: FakeFrames, uri: str) -> None:
        self.frames, self.uri = frames, uri

    @property
    def count(self) -> int:
        return self.frames.kept[self.uri]

    stored = count

    def append(self, planes: Sequence[NDArray[Any]], time_ns: int) -> None:
        self.frames.kept[self.uri] += 1
        if self.frames.full:
            raise ResourceExhaustedError("full; free space")


class FakeDecoder:
    """Gives ``count`` frames, and can be held in the middle."""

    def __init__(self, count: int = 5) -> None:
        self.count = count
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.hold = False

    @contextmanager
    def open(self, path: Path, header: UploadHeader) -> Iterator[Footage]:
        yield Footage(FORMAT, 25.0, "h264", self._frames())

    def _frames(self) -> Iterator[StoredFrame]:
        for index in range(self.count):
            if self.hold and index == 2:
                self.reached.set()
                self.go_on.wait(10)
            yield StoredFrame(PLANES, index * 40_000_000)


class FakePublisher:
    def __init__(self) -> None:
        self.known: dict[str, Dataset] = {}
        self.away = False

    async def store_manifest(
        self, dataset_id: str, parts: Sequence[DatasetClip], clips: Mapping[str, Clip]
    ) -> Artifact:
        return Artifact("blobs/x", "0" * 64, 1)

    async def publish(self, dataset: Dataset) -> None:
        if self.away:
            raise UnavailableError("away")
        self.known[dataset.id] = dataset

    async def withdraw(self, dataset_id: str) -> None:
        self.known.pop(dataset_id, None)


class FakeSpool:
    """Counts what it is given."""

    def __init__(self) -> None:
        self.received = 0
        self.part: Upload | None = None

    @asynccontextmanager
    async def receive(self, header: UploadHeader, chunks: AsyncIterable[bytes]) -> AsyncIterator[Spooled]:
        async for chunk in chunks:
            self.received += len(chunk)
        yield Spooled(Path("spooled"), header.size_bytes, header.sha256)

    @asynccontextmanager
    async def take(self, size_bytes: int, blocks: Iterator[bytes]) -> AsyncIterator[Spooled]:
        data = b"".join(blocks)
        yield Spooled(Path("spooled"), len(data), hashlib.sha256(data).hexdigest())

    def find(self, sha256: str) -> Upload | None:
        return self.part

    def clear(self) -> int:
        return 0

    def clear_expired(self) -> int:
        return 0


class Parts:
    """Everything, wired."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.store, self.frames, self.decoder = FakeStore(), FakeFrames(), FakeDecoder()
        self.publisher = FakePublisher()
        self.leftovers = Leftovers(self.store, self.frames, self.publisher, OWNER)
        self.clips = Clips(self.store, self.leftovers, OWNER)
        self.datasets = Datasets(self.store, self.publisher)
        new_clips = NewClips(self.store, self.leftovers, OWNER, renew_every_s=0.01)
        decode = DecodeClip(self.decoder, self.frames, new_clips, executor)
        self.spool = FakeSpool()
        self.uploads = Uploads(self.store, self.spool, new_clips, decode)
        self.import_clip = ImportClip(self, self.spool, new_clips, decode)

    async def find(self, uri: str) -> Source:
        """Whatever is asked for: a file, or a folder if it ends with a slash."""
        return Source("a.mp4", 3, lambda: iter([b"abc"]), is_folder=uri.endswith("/"))

    @property
    def received(self) -> int:
        return self.spool.received

    async def uploaded(self, header: UploadHeader = HEADER) -> Clip:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"abc"

        return await self.uploads.receive(header, chunks())

    def nothing_is_kept(self) -> bool:
        return not (self.store.clips or self.store.unowned or self.frames.kept)


@pytest.fixture
def parts() -> Iterator[Parts]:
    with ThreadPoolExecutor(2) as executor:
        yield Parts(executor)


async def test_an_upload_becomes_a_clip(parts: Parts) -> None:
    clip = await parts.uploaded()
    assert (clip.name, clip.frame_count, clip.display_name) == ("clips/c" + "ab" * 10, 5, "a.mp4")
    assert (clip.format, clip.variable_frame_rate, clip.duration_seconds) == (FORMAT, False, 0.2)
    assert parts.frames.kept == {clip.frames_uri: 5}
    assert parts.store.unowned == {}
    assert await parts.clips.get(clip.name) == clip


async def test_known_bytes_are_not_received_again(parts: Parts) -> None:
    first = await parts.uploaded()
    assert parts.received == 3
    assert await parts.uploaded() == first
    assert parts.received == 3


async def test_a_wrong_header_is_refused_before_anything_is_received(parts: Parts) -> None:
    with pytest.raises(InvalidArgumentError):
        await parts.uploaded(UploadHeader("../a.mp4", 3, "ab" * 32))
    assert parts.received == 0


async def test_how_far_an_upload_is(parts: Parts) -> None:
    digest = HEADER.sha256
    with pytest.raises(NotFoundError):
        await parts.uploads.get(digest)
    parts.spool.part = Upload(digest, 3, 1, datetime.now(UTC))
    assert await parts.uploads.get(digest) == parts.spool.part
    clip = await parts.uploaded()
    assert await parts.uploads.get(digest) == Upload(digest, 3, 3, clip=clip.name)
    for wrong in ("", "AB" * 32, "../" + digest):
        with pytest.raises(InvalidArgumentError, match="64 lowercase"):
            await parts.uploads.get(wrong)


async def test_an_import_is_the_clip_of_its_bytes(parts: Parts) -> None:
    digest = hashlib.sha256(b"abc").hexdigest()
    uploaded = await parts.uploaded(UploadHeader("b.mp4", 3, digest))
    assert await parts.import_clip("file:///a.mp4", "Other", digest) == uploaded
    await parts.clips.delete(uploaded.name)
    imported = await parts.import_clip("file:///a.mp4", "Other")
    assert (imported.source_sha256, imported.display_name) == (digest, "Other")


@pytest.mark.parametrize("uri", ["file:///a.mp4", "file:///folder/"])
async def test_an_import_with_another_digest(parts: Parts, uri: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await parts.import_clip(uri, sha256="ab" * 32)
    assert caught.value.field == "sha256"
    assert parts.nothing_is_kept()


async def test_an_imports_errors_name_what_was_asked_for(parts: Parts) -> None:
    parts.decoder.count = 1
    for display_name, field in (("", "uri"), ("\u202egpm.exe", "display_name")):
        with pytest.raises(InvalidArgumentError) as caught:
            await parts.import_clip("file:///a.mp4", display_name)
        assert caught.value.field == field


@pytest.mark.parametrize("count", [0, 1])
async def test_too_few_frames_leave_nothing(parts: Parts, count: int) -> None:
    parts.decoder.count = count
    with pytest.raises(InvalidArgumentError, match="at least 2 frames"):
        await parts.uploaded()
    assert parts.nothing_is_kept()


async def test_a_full_store_leaves_nothing(parts: Parts) -> None:
    parts.frames.full = True
    with pytest.raises(ResourceExhaustedError):
        await parts.uploaded()
    assert parts.nothing_is_kept()


async def test_what_can_not_be_deleted_now_is_deleted_at_the_next_start(parts: Parts) -> None:
    parts.frames.full = parts.frames.away = True
    with pytest.raises(ResourceExhaustedError):
        await parts.uploaded()
    assert parts.frames.kept
    parts.frames.away = False
    await parts.leftovers.recover()
    assert parts.nothing_is_kept()


async def test_what_can_not_be_deleted_now_is_deleted_by_the_next_sweep(parts: Parts) -> None:
    parts.frames.full = parts.frames.away = True
    with pytest.raises(ResourceExhaustedError):
        await parts.uploaded()
    await parts.leftovers.sweep()
    assert parts.frames.kept
    parts.frames.away = False
    await parts.leftovers.sweep()
    assert parts.nothing_is_kept()


async def test_a_cancelled_upload_waits_for_its_thread_and_leaves_nothing(parts: Parts) -> None:
    parts.decoder.hold = True
    task = asyncio.create_task(parts.uploaded())
    assert await asyncio.to_thread(parts.decoder.reached.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()  # the thread still writes: nothing may be deleted under it
    parts.decoder.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert parts.nothing_is_kept()


async def test_a_clip_keeps_its_frames_when_its_client_leaves_in_mid_commit(parts: Parts) -> None:
    parts.store.commit_seconds = 0.05
    task = asyncio.create_task(parts.uploaded())
    await parts.store.adding.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (clip,) = parts.store.clips.values()
    assert parts.frames.kept == {clip.frames_uri: 5}


async def test_frames_stay_noted_when_nobody_knows_whether_their_clip_was_committed(parts: Parts) -> None:
    parts.store.away = True
    with pytest.raises(UnavailableError):
        await parts.uploaded()
    assert parts.frames.kept.keys() == parts.store.unowned.keys()
    parts.store.away = False
    await parts.leftovers.recover()
    assert parts.nothing_is_kept()


async def test_the_second_of_two_equal_uploads_gives_its_frames_up(parts: Parts) -> None:
    clips = await asyncio.gather(parts.uploaded(), parts.uploaded())
    assert clips[0] == clips[1]
    assert list(parts.frames.kept) == [clips[0].frames_uri]
    assert parts.store.unowned == {}


async def test_recovery_leaves_alone_what_another_replica_writes(parts: Parts) -> None:
    await parts.store.reserve_frames("clips/c/mine", OWNER, datetime.now(UTC))
    await parts.store.reserve_frames("clips/c/new", "o2", datetime.now(UTC))
    await parts.store.reserve_frames("clips/c/old", "o2", datetime(2020, 1, 1, tzinfo=UTC))
    await parts.leftovers.recover()
    assert list(parts.store.unowned) == ["clips/c/new"]


async def test_recovery_leaves_alone_what_became_a_clip_meanwhile(parts: Parts) -> None:
    await parts.store.reserve_frames("clips/c/old", "o2", datetime(2020, 1, 1, tzinfo=UTC))
    parts.frames.kept["clips/c/old"] = 5
    parts.store.wanted.add("clips/c/old")
    await parts.leftovers.recover()
    assert parts.frames.kept == {"clips/c/old": 5}


async def test_a_note_is_renewed_while_frames_are_written(parts: Parts) -> None:
    parts.decoder.hold = True
    task = asyncio.create_task(parts.uploaded())
    assert await asyncio.to_thread(parts.decoder.reached.wait, 10)
    for uri in parts.store.unowned:
        parts.store.unowned[uri] = (OWNER, datetime(2020, 1, 1, tzinfo=UTC))
    parts.store.renewed.clear()
    await asyncio.wait_for(parts.store.renewed.wait(), 5)
    assert await parts.store.unowned_frames("o2", datetime(2021, 1, 1, tzinfo=UTC)) == []
    parts.decoder.go_on.set()
    await task
    assert parts.store.unowned == {}


async def test_frames_that_were_cleared_up_become_no_clip(parts: Parts) -> None:
    parts.decoder.hold = True
    task = asyncio.create_task(parts.uploaded())
    assert await asyncio.to_thread(parts.decoder.reached.wait, 10)
    parts.store.unowned.clear()
    parts.decoder.go_on.set()
    with pytest.raises(AbortedError):
        await task
    assert parts.nothing_is_kept()


async def test_a_deleted_clip_takes_its_frames_along(parts: Parts) -> None:
    clip = await parts.uploaded()
    await parts.clips.delete(clip.name)
    assert parts.nothing_is_kept()
    with pytest.raises(NotFoundError):
        await parts.clips.get(clip.name)


async def new_dataset(parts: Parts, **fields: str) -> NewDataset:
    await parts.uploaded()
    other = await parts.uploaded(UploadHeader("b.mp4", 3, "cd" * 32))
    first = "clips/c" + "ab" * 10
    return NewDataset(
        [
            RequestedClip(first, Split.TRAIN, 0, 3),
            RequestedClip(first, Split.VALIDATION, 3),
            RequestedClip(other.name, Split.TEST),
        ],
        **fields,
    )


async def test_a_dataset_is_made_and_published(parts: Parts) -> None:
    dataset = await parts.datasets.create(await new_dataset(parts, dataset_id="streets"))
    assert dataset.name == "datasets/streets"
    assert parts.publisher.known == {"streets": dataset}
    await parts.datasets.delete(dataset.name)
    assert parts.publisher.known == {}
    with pytest.raises(NotFoundError):
        await parts.datasets.get(dataset.name)


async def test_the_same_request_publishes_what_its_first_try_could_not(parts: Parts) -> None:
    new = await new_dataset(parts, request_id="r")
    parts.publisher.away = True
    with pytest.raises(UnavailableError):
        await parts.datasets.create(new)
    parts.publisher.away = False
    dataset = await parts.datasets.create(new)
    assert list(parts.store.datasets.values()) == [dataset]
    assert parts.publisher.known == {dataset.id: dataset}


async def test_recovery_publishes_what_a_crash_left_unpublished(parts: Parts) -> None:
    parts.publisher.away = True
    with pytest.raises(UnavailableError):
        await parts.datasets.create(await new_dataset(parts, dataset_id="streets"))
    parts.publisher.away = False
    await parts.leftovers.recover()
    assert list(parts.publisher.known) == ["streets"]
    assert await parts.store.unpublished_datasets() == []


async def test_a_taken_id_is_refused_before_the_clips_are_looked_at(parts: Parts) -> None:
    await parts.datasets.create(await new_dataset(parts, dataset_id="a"))
    with pytest.raises(AlreadyExistsError, match="datasets/a"):
        await parts.datasets.create(NewDataset([], dataset_id="a"))

"""The spool of resumable uploads: what stays, what goes, who may send."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import (
    AbortedError,
    DeadlineExceededError,
    InvalidArgumentError,
    OutOfRangeError,
    ResourceExhaustedError,
    UnavailableError,
)
from autoisp_runtime import one_stream
from autoisp_runtime.pace import Pace, keep_pace
from autoisp_runtime.part_files import PartFile
from autoisp_runtime.resumable import Announced, SpoolLimits, UploadSpool
from autoisp_runtime.run_to_end import run_to_end
from autoisp_runtime.uploads import open_upload

DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA).hexdigest()
WHOLE = Announced(DIGEST, len(DATA))


def spool_in(folder: Path, **changes: Any) -> UploadSpool:
    limits: dict[str, Any] = {
        "file_bytes": 1 << 20,
        "spool_bytes": 1 << 20,
        "ttl_seconds": 60.0,
        "pace": Pace(0, 30),
    }
    return UploadSpool(folder, SpoolLimits(**{**limits, **changes}))


async def chunks_of(data: bytes, breaks_with: BaseException | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]
    if breaks_with:
        raise breaks_with


async def receive(spool: UploadSpool, announced: Announced, chunks: AsyncIterator[bytes]) -> bytes:
    async with spool.receive(announced, chunks) as file:
        assert (file.size_bytes, file.sha256) == (announced.size_bytes, announced.sha256)
        return file.path.read_bytes()


async def break_off(spool: UploadSpool, length: int, announced: Announced = WHOLE) -> None:
    with pytest.raises(ConnectionResetError):
        await receive(spool, announced, chunks_of(DATA[:length], ConnectionResetError()))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_whole_upload_is_handed_out_and_then_gone(tmp_path: Path) -> None:
    spool = spool_in(tmp_path / "spool")
    assert await receive(spool, WHOLE, chunks_of(DATA)) == DATA
    assert files_in(tmp_path / "spool") == []
    assert spool.find(DIGEST) is None


async def test_what_broke_off_goes_on_also_in_another_process(tmp_path: Path) -> None:
    await break_off(spool_in(tmp_path), 3500)
    spool = spool_in(tmp_path)  # as after a kill: nothing but the folder is known
    assert spool.clear() == 0
    found = spool.find(DIGEST)
    assert found
    assert (found.size_bytes, found.received_bytes) == (len(DATA), 3500)
    assert await receive(spool, Announced(DIGEST, len(DATA), 3500), chunks_of(DATA[3500:])) == DATA
    assert files_in(tmp_path) == []


async def test_what_was_received_beyond_the_offset_is_sent_again(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await break_off(spool, 5000)
    assert await receive(spool, Announced(DIGEST, len(DATA), 1234), chunks_of(DATA[1234:])) == DATA


async def test_a_whole_file_whose_use_failed_needs_no_byte_again(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    with pytest.raises(UnavailableError):
        async with spool.receive(WHOLE, chunks_of(DATA)):
            raise UnavailableError("the store is away")
    assert await receive(spool, Announced(DIGEST, len(DATA), len(DATA)), chunks_of(b"")) == DATA


async def test_what_can_not_be_mended_is_not_kept(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    with pytest.raises(InvalidArgumentError):
        async with spool.receive(WHOLE, chunks_of(DATA)):
            raise InvalidArgumentError("chunk", "that is no footage")
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    ("announced", "data", "field"),
    [
        (WHOLE, DATA + b"x", "header.size_bytes"),
        (WHOLE, DATA[:-1] + b"?", "header.sha256"),
        (Announced("0" * 64, len(DATA)), DATA, "header.sha256"),
        (Announced("ABC", len(DATA)), DATA, "header.sha256"),
        (Announced(DIGEST, 0), DATA, "header.size_bytes"),
    ],
)
async def test_lies_are_refused_and_leave_nothing(
    tmp_path: Path, announced: Announced, data: bytes, field: str
) -> None:
    tmp_path.joinpath("spool").mkdir()
    with pytest.raises(InvalidArgumentError) as caught:
        await receive(spool_in(tmp_path / "spool"), announced, chunks_of(data))
    assert caught.value.field == field
    assert files_in(tmp_path / "spool") == []


async def test_a_stream_that_ends_early_is_refused_and_can_go_on(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    with pytest.raises(InvalidArgumentError) as caught:
        await receive(spool, WHOLE, chunks_of(DATA[:-1]))
    assert (caught.value.field, caught.value.reason) == ("header.size_bytes", "UPLOAD_ENDED_EARLY")
    assert await receive(spool, Announced(DIGEST, len(DATA), len(DATA) - 1), chunks_of(DATA[-1:])) == DATA


async def test_an_offset_beyond_what_was_received(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await break_off(spool, 2000)
    for offset in (2001, -1):
        with pytest.raises(OutOfRangeError, match="2000 were received"):
            await receive(spool, Announced(DIGEST, len(DATA), offset), chunks_of(b""))
    found = spool.find(DIGEST)
    assert found
    assert found.received_bytes == 2000


async def test_another_size_for_the_same_digest(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    await break_off(spool, 2000, Announced(DIGEST, len(DATA) + 5))
    with pytest.raises(InvalidArgumentError, match="first_offset 0"):
        await receive(spool, Announced(DIGEST, len(DATA), 2000), chunks_of(DATA[2000:]))
    assert await receive(spool, WHOLE, chunks_of(DATA)) == DATA
    assert files_in(tmp_path) == []


async def test_a_part_of_another_size_makes_room_for_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_in(tmp_path)
    await break_off(spool, 2000, Announced(DIGEST, len(DATA) + 5))

    def usage(folder: Path) -> Any:
        taken = sum(path.stat().st_size for path in folder.glob("*.part"))
        return shutil._ntuple_diskusage(len(DATA), taken, len(DATA) - taken)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert await receive(spool, WHOLE, chunks_of(DATA)) == DATA


async def test_a_resumed_upload_that_does_not_fit_just_now_keeps_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await break_off(spool_in(tmp_path), 2000)
    rest = Announced(DIGEST, len(DATA), 2000)
    for limits in ({"file_bytes": 5000}, {"spool_bytes": 5000}):
        with pytest.raises(ResourceExhaustedError):
            await receive(spool_in(tmp_path, **limits), rest, chunks_of(DATA[2000:]))
    spool = spool_in(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
        with pytest.raises(ResourceExhaustedError):
            await receive(spool, rest, chunks_of(DATA[2000:]))
    assert await receive(spool, rest, chunks_of(DATA[2000:])) == DATA


async def test_quotas_hold_before_a_byte_is_read(tmp_path: Path) -> None:
    async def never() -> AsyncIterator[bytes]:
        pytest.fail("it was read")
        yield b""

    spool = spool_in(tmp_path, file_bytes=20_000, spool_bytes=12_000)
    cases = {20_001: "QUOTA_EXCEEDED", 12_001: "SPOOL_FULL"}
    for size, reason in cases.items():
        with pytest.raises(ResourceExhaustedError) as caught:
            await receive(spool, Announced("a" * 64, size), never())
        assert (caught.value.reason, caught.value.metadata["field"]) == (reason, "header.size_bytes")
    await break_off(spool, 5000)  # what lies there counts, and one's own does not count twice
    with pytest.raises(ResourceExhaustedError, match="AUTOISP_SPOOL_BYTES"):
        await receive(spool, Announced("a" * 64, 7001), never())
    assert await receive(spool, Announced(DIGEST, len(DATA), 5000), chunks_of(DATA[5000:])) == DATA


async def test_a_lively_stream_keeps_its_file_to_itself(tmp_path: Path) -> None:
    spool, go_on = spool_in(tmp_path), asyncio.Event()

    async def waits() -> AsyncIterator[bytes]:
        yield DATA[:1000]
        await go_on.wait()
        yield DATA[1000:]

    first = asyncio.create_task(receive(spool, WHOLE, waits()))
    await asyncio.sleep(0.05)
    with pytest.raises(AbortedError) as caught:
        await receive(spool, WHOLE, chunks_of(DATA))
    assert caught.value.reason == one_stream.IN_PROGRESS
    go_on.set()
    assert await first == DATA


async def test_a_silent_stream_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_stream, "_SILENT_S", 0.02)
    spool = spool_in(tmp_path)

    async def dead() -> AsyncIterator[bytes]:
        yield DATA[:1000]
        await asyncio.sleep(60)

    first = asyncio.create_task(receive(spool, WHOLE, dead()))
    await asyncio.sleep(0.1)
    assert await receive(spool, Announced(DIGEST, len(DATA), 1000), chunks_of(DATA[1000:])) == DATA
    with pytest.raises(AbortedError):
        await first


async def test_two_take_over_and_nothing_is_closed_under_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_stream, "_SILENT_S", 0.02)
    spool, writing, go_on = spool_in(tmp_path), threading.Event(), threading.Event()
    append, wrote = PartFile.append, []

    def slow(part: PartFile, data: bytes) -> None:
        if not writing.is_set():
            writing.set()
            go_on.wait(10)
        append(part, data)
        wrote.append(len(data))

    monkeypatch.setattr(PartFile, "append", slow)
    first = asyncio.create_task(receive(spool, WHOLE, chunks_of(DATA)))
    assert await asyncio.to_thread(writing.wait, 10)
    (stream,) = spool._streams._running.values()
    for _ in range(3):
        stream.take_over()
        await asyncio.sleep(0.02)
        assert not first.done()
    go_on.set()
    with pytest.raises(AbortedError):
        await first
    assert wrote == [1000]


async def test_our_own_work_is_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_stream, "_SILENT_S", 0.02)
    monkeypatch.setattr(one_stream, "_PATIENCE_S", 0.1)
    spool, go_on = spool_in(tmp_path), threading.Event()
    await break_off(spool, 5000)
    open_part = UploadSpool._open

    def slow(self: UploadSpool, announced: Announced) -> PartFile:
        go_on.wait(10)  # as the hashing of a large part
        return open_part(self, announced)

    monkeypatch.setattr(UploadSpool, "_open", slow)
    rest = Announced(DIGEST, len(DATA), 5000)
    first = asyncio.create_task(receive(spool, rest, chunks_of(DATA[5000:])))
    await asyncio.sleep(0.1)
    with pytest.raises(AbortedError):
        await receive(spool, rest, chunks_of(DATA[5000:]))
    go_on.set()
    assert await first == DATA


async def test_work_is_outlasted_however_often_it_is_cancelled() -> None:
    go_on, asked = threading.Event(), []
    task = asyncio.create_task(run_to_end(go_on.wait, 10, on_cancel=lambda: asked.append(1)))
    for _ in range(3):
        await asyncio.sleep(0.02)
        task.cancel()
    await asyncio.sleep(0.02)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asked == [1]


async def test_a_cancelled_stream_is_cancelled_and_keeps_its_bytes(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)

    async def stalls() -> AsyncIterator[bytes]:
        yield DATA[:1000]
        await asyncio.sleep(60)

    task = asyncio.create_task(receive(spool, WHOLE, stalls()))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = spool.find(DIGEST)
    assert found
    assert found.received_bytes == 1000


async def test_unfinished_uploads_expire_but_not_while_they_go_on(tmp_path: Path) -> None:
    spool = spool_in(tmp_path, ttl_seconds=5.0)
    await break_off(spool, 1000)
    assert spool.clear_expired() == 0
    part = tmp_path / f"{DIGEST}-{len(DATA)}.part"
    old = time.time() - 6
    os.utime(part, (old, old))

    async def looks_while_it_sends() -> AsyncIterator[bytes]:
        assert spool.clear_expired() == 0
        yield DATA[1000:2000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await receive(spool, Announced(DIGEST, len(DATA), 1000), looks_while_it_sends())
    os.utime(part, (old, old))
    assert spool.clear_expired() == 1
    assert spool.find(DIGEST) is None


def test_the_start_clears_what_nobody_can_resume(tmp_path: Path) -> None:
    (tmp_path / "taken-1.part").write_bytes(b"half a copy")
    (tmp_path / f"{DIGEST}-99.part").write_bytes(b"half an upload")
    (tmp_path / "keep").touch()
    assert spool_in(tmp_path).clear() == 1
    assert files_in(tmp_path) == [f"{DIGEST}-99.part", "keep"]


async def test_a_copy_of_what_the_server_reads(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    async with spool.take(len(DATA), iter([DATA[:100], DATA[100:]]), field="uri") as file:
        assert (file.path.read_bytes(), file.sha256) == (DATA, DIGEST)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
async def test_a_source_that_changes_while_it_is_copied(tmp_path: Path, size: int) -> None:
    with pytest.raises(InvalidArgumentError, match="changed") as caught:
        async with spool_in(tmp_path).take(size, iter([DATA]), field="uri"):
            pytest.fail("handed out")
    assert caught.value.field == "uri"
    assert files_in(tmp_path) == []


async def test_a_cancelled_copy_ends_and_leaves_nothing(tmp_path: Path) -> None:
    def slow() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.01)
            yield b"x"

    async def take() -> None:
        async with spool_in(tmp_path).take(100, slow(), field="uri"):
            pytest.fail("handed out")

    task = asyncio.create_task(take())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(tmp_path) == []


async def paced(chunks: AsyncIterator[bytes], pace: Pace) -> int:
    async with aclosing(keep_pace(chunks, pace)) as stream:
        return sum([len(chunk) async for chunk in stream])


async def test_a_sender_that_falls_silent_or_dribbles_is_too_slow() -> None:
    async def dribbles() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.02)
            yield b"x"

    async def falls_silent() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        await asyncio.sleep(60)

    for chunks in (dribbles(), falls_silent()):
        with pytest.raises(DeadlineExceededError, match="AUTOISP_MIN_UPLOAD_BYTES_PER_SECOND"):
            await paced(chunks, Pace(1000, 0.2))


async def test_our_own_slowness_is_not_the_senders() -> None:
    received = 0
    async with aclosing(keep_pace(chunks_of(DATA), Pace(1e9, 0.05))) as stream:
        async for chunk in stream:
            await asyncio.sleep(0.02)
            received += len(chunk)
    assert received == len(DATA)


async def placed(*offsets: int | None) -> list[bytes]:
    """What comes of chunks of 3 bytes that say where they belong; the header says 10."""

    async def messages() -> AsyncIterator[ingest_pb2.UploadClipRequest]:
        yield ingest_pb2.UploadClipRequest(header=ingest_pb2.UploadClipHeader(first_offset=10))
        for offset in offsets:
            yield ingest_pb2.UploadClipRequest(chunk=b"abc", offset=offset)

    _, chunks = await open_upload(messages(), offsets=True)
    return [chunk async for chunk in chunks]


@pytest.mark.parametrize("offsets", [(10, 13), (None, 13), (10, None, 16)])
async def test_chunks_that_say_where_they_belong(offsets: tuple[int | None, ...]) -> None:
    assert await placed(*offsets) == [b"abc"] * len(offsets)


@pytest.mark.parametrize("offsets", [(10, 12), (10, 14), (0,), (None, 10)])
async def test_chunks_at_another_place(offsets: tuple[int | None, ...]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await placed(*offsets)
    assert (caught.value.reason, caught.value.field) == ("OFFSET_MISMATCH", "offset")

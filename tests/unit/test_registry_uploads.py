"""The upload spool: complete and true, or gone."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError, ResourceExhaustedError
from autoisp_runtime.uploads import MAX_CHUNK_BYTES, clear_spool, open_upload, spool

DATA = bytes(range(256)) * 16


async def stream(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def receive(directory: Path, chunks: Iterable[bytes], **changes: Any) -> bytes:
    announced: dict[str, Any] = {
        "size_bytes": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "quota_bytes": 1 << 20,
    }
    async with spool(stream(chunks), directory=directory, **{**announced, **changes}) as spooled:
        assert spooled.size_bytes == len(DATA)
        return spooled.path.read_bytes()


async def test_spools_what_was_sent_and_cleans_up(tmp_path: Path) -> None:
    assert await receive(tmp_path / "spool", [DATA[:1000], b"", DATA[1000:]]) == DATA
    assert names(tmp_path / "spool") == []


@pytest.mark.parametrize(
    ("chunks", "changes", "field"),
    [
        ([DATA[:-1]], {}, "header.size_bytes"),
        ([DATA, b"x"], {}, "header.size_bytes"),
        ([DATA[:-1] + b"?"], {}, "header.sha256"),
        ([DATA], {"size_bytes": 0}, "header.size_bytes"),
        ([DATA], {"size_bytes": -5}, "header.size_bytes"),
        ([DATA], {"sha256": "ABC"}, "header.sha256"),
        ([b"x" * (MAX_CHUNK_BYTES + 1)], {"size_bytes": 1 << 21, "quota_bytes": 1 << 30}, "chunk"),
    ],
)
async def test_refuses_what_is_not_as_announced(
    tmp_path: Path, chunks: list[bytes], changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await receive(tmp_path, chunks, **changes)
    assert caught.value.field == field
    assert names(tmp_path) == []


async def test_over_quota_reads_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        await receive(tmp_path, [], quota_bytes=100)
    assert caught.value.reason == "QUOTA_EXCEEDED"


async def test_more_than_the_disk_holds(tmp_path: Path) -> None:
    with pytest.raises(ResourceExhaustedError) as caught:
        await receive(tmp_path, [], size_bytes=1 << 60, quota_bytes=1 << 61)
    assert caught.value.reason == "DISK_FULL"


async def test_a_sender_that_dies_leaves_nothing(tmp_path: Path) -> None:
    async def dies() -> AsyncIterator[bytes]:
        yield DATA[:100]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async with spool(dies(), directory=tmp_path, size_bytes=4096, sha256="0" * 64, quota_bytes=1 << 20):
            pytest.fail("incomplete upload was handed out")
    assert names(tmp_path) == []


def test_clear_spool_removes_leftovers_only(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"x")
    (tmp_path / "keep").write_bytes(b"x")
    assert clear_spool(tmp_path) == 1
    assert names(tmp_path) == ["keep"]
    assert clear_spool(tmp_path / "absent") == 0


def message(**fields: Any) -> registry_pb2.UploadArtifactRequest:
    return registry_pb2.UploadArtifactRequest(**fields)


async def test_open_upload_splits_header_and_chunks() -> None:
    header = registry_pb2.UploadArtifactHeader(media_type="image/png", size_bytes=2)
    got, chunks = await open_upload(
        stream([message(header=header), message(chunk=b"a"), message(chunk=b"b")])
    )
    assert got == header
    assert [chunk async for chunk in chunks] == [b"a", b"b"]


@pytest.mark.parametrize("first", [[], [message(chunk=b"a")], [message()]])
async def test_an_upload_without_header_is_refused(first: list[Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await open_upload(stream(first))
    assert caught.value.field == "header"


async def test_a_second_header_is_refused() -> None:
    header = message(header=registry_pb2.UploadArtifactHeader())
    _, chunks = await open_upload(stream([header, header]))
    with pytest.raises(InvalidArgumentError) as caught:
        [chunk async for chunk in chunks]
    assert caught.value.field == "header"

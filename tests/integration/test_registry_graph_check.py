"""Files that were made to break what looks at them: each is refused clearly, and the next one is checked."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import pytest
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, InvalidArgumentError, ResourceExhaustedError
from autoisp_registry.graph_check import IsolatedChecker
from autoisp_testing.graphs import outside, root_of

GOOD = root_of(1.0)


class Bytes:
    """Hands out what it was given, and counts how often."""

    def __init__(self, *, damaged: bool = False) -> None:
        self.data: dict[str, bytes] = {}
        self.damaged = damaged
        self.reads = 0

    def put(self, data: bytes) -> Artifact:
        sha256 = hashlib.sha256(data).hexdigest()
        self.data[sha256] = data
        return Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, len(data))

    async def stream(self, artifact: Artifact, chunk_bytes: int = 1 << 20) -> AsyncIterator[bytes]:
        self.reads += 1
        data = self.data[artifact.sha256]
        for start in range(0, len(data), chunk_bytes):
            yield data[start : start + chunk_bytes]
        if self.damaged:
            raise DataLossError("damaged")


def nested(depth: int) -> bytes:
    """A graph in an attribute of a node of a graph in …: field 7 of the model, 1 of a graph, 5, 6."""
    inner = b""
    for _ in range(depth):
        attribute = _field(6, inner)
        inner = _field(1, _field(5, attribute))
    return _field(7, inner)


def _field(number: int, data: bytes) -> bytes:
    length = len(data)
    varint = bytearray()
    while length >= 128:
        varint.append(length & 127 | 128)
        length >>= 7
    return bytes([number << 3 | 2, *varint, length]) + data


async def test_good_files_are_good_and_looked_at_once() -> None:
    source = Bytes()
    checker = IsolatedChecker(source, 1 << 20)
    for _ in range(2):
        await checker.check(source.put(GOOD), "onnx")
    assert source.reads == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (outside("/etc/passwd", "graph"), "'/etc/passwd'"),
        (GOOD[:-3], "no ONNX model"),
        (b"\xff" * 5_000_000, "no ONNX model"),
        (nested(20_000), "no ONNX model"),
        # Empty nodes by the million, two bytes each.
        (_field(7, b"\x0a\x00" * 200_000), "200,000 nodes, more than 100,000"),
    ],
    ids=["outside", "cut", "noise", "nested", "repeated"],
)
async def test_what_is_no_network_is_refused(data: bytes, said: str) -> None:
    source = Bytes()
    checker = IsolatedChecker(source, 1 << 30)
    with pytest.raises(InvalidArgumentError) as caught:
        await checker.check(source.put(data), "onnx")
    assert caught.value.field == "onnx"
    assert said in caught.value.message
    await checker.check(source.put(GOOD), "onnx")


async def test_a_bomb_of_fields_takes_no_more_than_its_share() -> None:
    source = Bytes()
    checker = IsolatedChecker(source, 1 << 30)
    # The library tells running out of memory sometimes so and sometimes so.
    with pytest.raises((ResourceExhaustedError, InvalidArgumentError), match=r"memory|too large"):
        await checker.check(source.put(_field(7, b"\x0a\x00" * 20_000_000)), "onnx")
    await checker.check(source.put(GOOD), "onnx")


async def test_too_large_a_file_is_not_even_read() -> None:
    source = Bytes()
    with pytest.raises(ResourceExhaustedError) as caught:
        await IsolatedChecker(source, len(GOOD) - 1).check(source.put(GOOD), "onnx")
    assert (caught.value.reason, source.reads) == ("GRAPH_TOO_LARGE", 0)


async def test_a_check_that_takes_too_long_is_ended() -> None:
    source = Bytes()
    with pytest.raises(ResourceExhaustedError):
        await IsolatedChecker(source, 1 << 20, wall_seconds=0.01).check(source.put(GOOD), "onnx")


async def test_damaged_bytes_are_not_blamed_on_the_network() -> None:
    source = Bytes(damaged=True)
    with pytest.raises(DataLossError):
        await IsolatedChecker(source, 1 << 20).check(source.put(GOOD), "onnx")

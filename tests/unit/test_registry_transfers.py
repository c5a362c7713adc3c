"""Which file of a version is meant, and which bytes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from autoisp_core.errors import InvalidArgumentError, NotFoundError, OutOfRangeError
from autoisp_registry.domain import EdgeFormat, Failure, ModelVersion
from autoisp_registry.usecases import Transfers
from registry_fakes import NOW, World, artifact, content

FILES = {"onnx-int8": artifact(2), "manifest": artifact(3)}
NAME = "models/m/versions/1"


@pytest.fixture
async def transfers() -> Transfers:
    world = World()
    world.artifacts.stored |= {file.sha256: file for file in FILES.values()}
    async with world.store.transaction() as transaction:
        model = await transaction.lock("models/m", NOW)
        await transaction.save(model.with_version(NOW))
        formats = (
            EdgeFormat("onnx-int8", FILES["onnx-int8"]),
            EdgeFormat("onnx-fp16", artifact(99)),  # its bytes are gone
            EdgeFormat("executorch-xnnpack", failure=Failure("NO_EXECUTORCH", "ExecuTorch is not installed")),
        )
        version = ModelVersion("models/m", 1, content(), NOW, formats=formats)
        await transaction.add_version(replace(version, signed_manifest=FILES["manifest"]), None)
    return Transfers(world.models, world.artifacts, Path("unused"), 1 << 20)


async def test_each_format_has_its_file(transfers: Transfers) -> None:
    for format, file in (*FILES.items(), ("", artifact(1)), ("onnx-fp32", artifact(1))):
        assert await transfers.find_version(NAME, format) == file


async def test_a_format_that_is_not_there_says_why(transfers: Transfers) -> None:
    with pytest.raises(
        NotFoundError, match=r"has no onnx-int4; it has manifest, onnx-fp16, onnx-fp32"
    ) as caught:
        await transfers.find_version(NAME, "onnx-int4")
    assert (caught.value.reason, caught.value.metadata["format"]) == ("NO_FORMAT", "onnx-int4")
    with pytest.raises(NotFoundError, match=r"could not be made .ExecuTorch is not installed"):
        await transfers.find_version(NAME, "executorch-xnnpack")
    with pytest.raises(NotFoundError, match="not in the artifact store any more") as gone:
        await transfers.find_version(NAME, "onnx-fp16")
    assert gone.value.reason == "NO_ARTIFACT"


@pytest.mark.parametrize("format", ["../x", "ONNX", "a b", "x" * 64, "-", "\n"])
async def test_what_can_be_no_format_is_refused(transfers: Transfers, format: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await transfers.find_version(NAME, format)
    assert caught.value.field == "format"


@pytest.mark.parametrize(
    ("offset", "length", "field"),
    [
        (-1, 0, "offset"),
        (1002, 0, "offset"),
        (1 << 62, 0, "offset"),
        (0, -1, "length"),
        (5, -(1 << 62), "length"),
    ],
)
def test_ranges_that_are_not_there(transfers: Transfers, offset: int, length: int, field: str) -> None:
    with pytest.raises(OutOfRangeError, match="1001 bytes") as caught:
        transfers.stream(artifact(1), offset, length)
    assert caught.value.metadata["field"] == field

"""Model versions as the registry leaves them for the evaluation service."""

from __future__ import annotations

from pathlib import Path

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import DataLossError, NotFoundError
from autoisp_evaluation import wire
from autoisp_evaluation.versions import StoredVersions
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from evaluation_fakes import artifact

NAME = "models/m/versions/1"
ONNX = wire.artifact_to(artifact(1))


@pytest.mark.parametrize(
    "left",
    [
        b"\xff\xff",
        b"",
        registry_pb2.ModelVersion(name=NAME, onnx=common_pb2.Artifact(sha256="short")).SerializeToString(),
        registry_pb2.ModelVersion(name="models/other/versions/1", onnx=ONNX).SerializeToString(),
    ],
)
async def test_what_is_no_version_of_that_name_is_lost_data(left: bytes, tmp_path: Path) -> None:
    store = AsyncArtifactStore(ArtifactStore(str(tmp_path)))
    versions = StoredVersions(store)
    with pytest.raises(NotFoundError):
        await versions.onnx(NAME)
    await store.put_result(NAME, left)
    with pytest.raises(DataLossError, match=NAME):
        await versions.onnx(NAME)
    good = registry_pb2.ModelVersion(name=NAME, onnx=ONNX).SerializeToString()
    await store.put_result(NAME, good, overwrite=True)
    assert await versions.onnx(NAME) == artifact(1)

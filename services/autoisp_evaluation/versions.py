"""Reads model versions from the artifact store, where the registry leaves them for everybody."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, InvalidArgumentError, NotFoundError
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from google.protobuf.message import DecodeError

from autoisp_evaluation import wire


class StoredVersions:
    """Versions under the keyed results ``models/{m}/versions/{n}``."""

    def __init__(self, store: AsyncArtifactStore) -> None:
        self._store = store

    async def onnx(self, name: str) -> Artifact:
        """The file of ``models/{m}/versions/{n}``.

        Raises:
            NotFoundError: there is no such version.
            DataLossError: what is stored of it can't be read.
        """
        data = await self._store.get_result(name)
        if data is None:
            raise NotFoundError(name, f"{name} does not exist; list the model's versions to see which do")
        try:
            version = registry_pb2.ModelVersion.FromString(data)
            onnx = wire.artifact_from(version.onnx, "model_version.onnx")
        except (DecodeError, InvalidArgumentError) as error:
            raise DataLossError(f"what is stored of {name} can't be read; register it again") from error
        if version.name != name:
            raise DataLossError(f"what is stored of {name} is of {version.name!r}; register it again")
        return onnx

"""Leaves evaluations in the artifact store as they were when they ended, for whoever judges by them later."""

from __future__ import annotations

import asyncio

from autoisp_core.artifact import Artifact
from autoisp_runtime.async_artifacts import AsyncArtifactStore

from autoisp_evaluation import wire
from autoisp_evaluation.domain import Evaluation


class StoredRecords:
    """Evaluations as artifacts: serialised messages."""

    def __init__(self, store: AsyncArtifactStore) -> None:
        self._store = store

    async def put(self, evaluation: Evaluation) -> Artifact:
        """See :class:`autoisp_evaluation.usecases.ports.Records`."""
        # Of many frames it is megabytes, so not on the event loop.
        data = await asyncio.to_thread(_serialised, evaluation)
        return await self._store.put_bytes(data, "application/x-protobuf")


def _serialised(evaluation: Evaluation) -> bytes:
    return wire.evaluation_to(evaluation).SerializeToString(deterministic=True)

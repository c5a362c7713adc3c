"""Reads where versions came from out of the artifact store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AutoISPError, DataLossError
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.messages.results import clip_result_from, subject_result_from
from google.protobuf.message import DecodeError, Message

from autoisp_registry.lineage.provenance import Footage, Judgement

M = TypeVar("M", bound=Message)

_SPLITS = {
    ingest_pb2.SPLIT_TRAIN: "training",
    ingest_pb2.SPLIT_VALIDATION: "validation",
    ingest_pb2.SPLIT_TEST: "test",
}
_MAX_BYTES = 64 << 20
"""Of a manifest or a record; larger ones are not read into memory."""


class StoredOrigins:
    """See :class:`autoisp_registry.lineage.Origins`."""

    def __init__(self, artifacts: AsyncArtifactStore) -> None:
        self._artifacts = artifacts

    async def footage(self, manifest: Artifact) -> Sequence[Footage]:
        """The entries of a DatasetManifest."""
        return await asyncio.to_thread(_footage, await self._read(manifest), manifest)

    async def judgement(self, record: Artifact) -> Judgement:
        """What an evaluation's record says."""
        data = await self._read(record)
        # Of many frames it is megabytes, so not on the event loop.
        return await asyncio.to_thread(_judgement, data, record)

    async def present(self, artifact: Artifact) -> bool:
        """Whether the bytes are in the artifact store."""
        return await self._artifacts.exists(artifact)

    async def _read(self, artifact: Artifact) -> bytes:
        if artifact.size_bytes > _MAX_BYTES:
            raise DataLossError(
                f"{artifact.sha256[:12]}… is too large to be read: {artifact.size_bytes} bytes"
            )
        return await self._artifacts.get_bytes(artifact)


def _footage(data: bytes, manifest: Artifact) -> list[Footage]:
    return [
        Footage(
            entry.clip.name,
            entry.clip.display_name,
            _SPLITS.get(entry.split, "unknown"),
            entry.first_frame,
            entry.end_frame,
            entry.clip.source_sha256,
            entry.clip.source_size_bytes,
        )
        for entry in _decoded(data, manifest, ingest_pb2.DatasetManifest).entries
    ]


def _judgement(data: bytes, record: Artifact) -> Judgement:
    message = _decoded(data, record, evaluation_pb2.Evaluation)
    try:
        totals = tuple(subject_result_from(total) for total in message.totals)
        clips = tuple(clip_result_from(clip) for clip in message.clips)
    except (AutoISPError, ValueError, KeyError) as error:
        raise DataLossError(f"the record {record.sha256[:12]}… can't be read: {error}") from error
    report = message.gate_report
    return Judgement(
        message.name,
        evaluation_pb2.EvaluationState.Name(message.state).removeprefix("EVALUATION_STATE_"),
        message.dataset,
        _SPLITS.get(message.split, "unknown"),
        totals,
        clips,
        report.passed if message.HasField("gate_report") else None,
        tuple(check.text for check in report.checks),
    )


def _decoded(data: bytes, artifact: Artifact, kind: type[M]) -> M:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise DataLossError(f"{artifact.sha256[:12]}… is no {kind.DESCRIPTOR.name}") from error

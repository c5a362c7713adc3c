"""Reads evaluations from the artifact store, as the evaluation service left them there."""

from __future__ import annotations

import asyncio

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, InvalidArgumentError
from autoisp_core.quality import Gate, GateCheck, GateReport
from autoisp_core.quality.results import QUALITY_OF
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.figures import figures_of
from autoisp_runtime.messages.results import clip_result_from, subject_result_from
from google.protobuf.message import DecodeError

from autoisp_registry.ports import JudgedEvaluation


class StoredRecords:
    """Evaluations as artifacts: serialised messages."""

    def __init__(self, artifacts: AsyncArtifactStore) -> None:
        self._artifacts = artifacts

    async def read(self, record: Artifact) -> JudgedEvaluation:
        """See :class:`autoisp_registry.ports.Records`."""
        data = await self._artifacts.get_bytes(record)
        # Of many frames it is megabytes, so not on the event loop.
        return await asyncio.to_thread(_judged, data, record)


def _judged(data: bytes, record: Artifact) -> JudgedEvaluation:
    try:
        message = evaluation_pb2.Evaluation.FromString(data)
        figures = figures_of(
            [subject_result_from(total) for total in message.totals],
            [clip_result_from(clip) for clip in message.clips],
            tuple(message.metrics) or tuple(QUALITY_OF),
            message.seed,
        )
        subject = Gate.parse(message.gate).subject if message.gate else ""
    except (DecodeError, InvalidArgumentError) as error:
        raise DataLossError(
            f"the evaluation that is kept at {record.uri} can't be read; evaluate the version again"
        ) from error
    if not message.HasField("gate_report"):
        return JudgedEvaluation(figures, subject)
    checks = (GateCheck(check.passed, check.text) for check in message.gate_report.checks)
    return JudgedEvaluation(figures, subject, GateReport(message.gate_report.passed, tuple(checks)))

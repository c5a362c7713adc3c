"""What the blocking client offers about evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc

from autoisp_client import requests
from autoisp_client.artifacts import ArtifactCalls
from autoisp_client.connection import Connection
from autoisp_client.subjects import Source, evaluation_message, onnx_file, subject_of


class EvaluationCalls(ArtifactCalls):
    """The part of :class:`autoisp_client.Client` about evaluations."""

    _evaluation: Connection
    _evaluation_stub: evaluation_pb2_grpc.EvaluationServiceStub

    def evaluation_subject(self, label: str, source: Source) -> evaluation_pb2.Subject:
        """A subject to judge: uploads a file, and pins an alias of a model's version to its number.

        Args:
            label: such as ``model``, which gates are about, or ``prototype``, which others are compared to.
            source: ``builtin:classical``, ``onnx:FILE``, ``models/{m}/versions/{v}`` with a number or an
                alias, the path of an ONNX file, an artifact, or a prototype.

        Raises:
            InvalidArgumentError: field ``subjects``, if it is none of these.
            NotFoundError: there is no such version.
        """
        subject = subject_of(label, source)
        if isinstance(source, Path) or (isinstance(source, str) and source.startswith("onnx:")):
            subject.onnx.CopyFrom(self.upload_artifact(onnx_file(source)))
        elif subject.model_version:
            subject.model_version = (self.get_model_version(subject.model_version)).name
        return subject

    def create_evaluation(
        self,
        dataset: str,
        subjects: Mapping[str, Source],
        *,
        split: str = "test",
        metrics: Sequence[str] = (),
        gate: str = "",
        sensor: common_pb2.Sensor | None = None,
        seed: int = 0,
        frames_per_clip: int = 0,
        evaluation_id: str = "",
        request_id: str = "",
    ) -> evaluation_pb2.Evaluation:
        """Starts to judge networks and prototypes on a dataset's split.

        Args:
            dataset: ``datasets/{d}``.
            subjects: by label; what :meth:`evaluation_subject` takes or gives.
            split: ``train``, ``validation`` or ``test``.
            metrics: names of :data:`autoisp_core.quality.METRICS`; none: psnr and ssim.
            gate: what the subject ``model`` must reach, as TOML; empty: nothing.
            sensor: for whose noise raw is synthesised; by default the builtin phone.
            seed: of the noise.
            frames_per_clip: evenly spread; 0 for all.

        Raises:
            InvalidArgumentError: any of it is wrong; ``field`` says which.
            NotFoundError: there is no such dataset, version or file.
        """
        resolved = [self.evaluation_subject(label, source) for label, source in subjects.items()]
        evaluation = evaluation_message(
            dataset, resolved, split, metrics, gate, sensor, seed, frames_per_clip
        )
        request = evaluation_pb2.CreateEvaluationRequest(
            evaluation_id=evaluation_id, evaluation=evaluation, request_id=requests.request_id(request_id)
        )
        return self._evaluation.unary(self._evaluation_stub.CreateEvaluation, request)

    def get_evaluation(self, name: str) -> evaluation_pb2.Evaluation:
        """The evaluation ``evaluations/{e}``."""
        request = evaluation_pb2.GetEvaluationRequest(name=name)
        return self._evaluation.unary(self._evaluation_stub.GetEvaluation, request)

    def list_evaluations(
        self, *, search: str = "", page_size: int = 0
    ) -> Iterator[evaluation_pb2.Evaluation]:
        """All evaluations, or those of one search, without their frames."""
        request = evaluation_pb2.ListEvaluationsRequest(search=search, page_size=page_size)
        call = self._evaluation_stub.ListEvaluations
        return self._evaluation.pages(call, request, lambda page: page.evaluations)

    def watch_evaluation(self, name: str, *, frames: bool = False) -> Iterator[evaluation_pb2.Evaluation]:
        """The evaluation now, and again after each clip, until it has ended.

        With ``frames`` also as frames are judged: clips then hold what is new since the message before. The
        first message and the last are whole, and so is the one after a lost connection: take results by
        clip, subject and frame, as the same may come twice.
        """
        request = evaluation_pb2.WatchEvaluationRequest(name=name, frames=frames)
        call = self._evaluation_stub.WatchEvaluation
        return self._evaluation.watch(call, request, requests.evaluation_ended)

    def cancel_evaluation(self, name: str) -> evaluation_pb2.Evaluation:
        """Has nothing more judged; what was judged stays."""
        request = evaluation_pb2.CancelEvaluationRequest(name=name)
        return self._evaluation.unary(self._evaluation_stub.CancelEvaluation, request)

    def compare_subjects(
        self,
        evaluation: str,
        subject: str,
        baseline: str,
        *,
        baseline_evaluation: str = "",
        margins: Mapping[str, float] | None = None,
        scope: evaluation_pb2.Comparison.Scope.ValueType = evaluation_pb2.Comparison.SCOPE_THESE_CLIPS,
    ) -> list[evaluation_pb2.Comparison]:
        """By how much a subject is better than a baseline, frame by frame: one comparison for each metric.

        Args:
            evaluation: ``evaluations/{e}``.
            subject: its label.
            baseline: the other's label.
            baseline_evaluation: where the baseline was judged, on the same frames; empty: in the same.
            margins: by metric, differences that don't matter; 0 where none is given.
            scope: what the verdicts hold for.
        """
        request = evaluation_pb2.CompareSubjectsRequest(
            evaluation=evaluation,
            subject=subject,
            baseline=baseline,
            baseline_evaluation=baseline_evaluation,
            margins=margins or {},
            scope=scope,
        )
        response = self._evaluation.unary(self._evaluation_stub.CompareSubjects, request)
        return list(response.comparisons)

    def check_gate(self, evaluation: str, gate: str) -> evaluation_pb2.GateReport:
        """Judges an evaluation that has succeeded by a gate, given as TOML."""
        request = evaluation_pb2.CheckGateRequest(evaluation=evaluation, gate=gate)
        return self._evaluation.unary(self._evaluation_stub.CheckGate, request)

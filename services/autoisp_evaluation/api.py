"""gRPC: decode, call the use case, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from autoisp_core.errors import InvalidArgumentError

from autoisp_evaluation import wire
from autoisp_evaluation.domain import Evaluation
from autoisp_evaluation.usecases import Comparing, Evaluations, Watching
from autoisp_evaluation.usecases.validation import Draft


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServiceServicer):
    """``autoisp.evaluation.v1.EvaluationService``; errors are translated by the server's interceptor."""

    def __init__(self, evaluations: Evaluations, watching: Watching, comparing: Comparing) -> None:
        self._evaluations = evaluations
        self._watching = watching
        self._comparing = comparing

    async def CreateEvaluation(  # noqa: N802 - gRPC's name
        self, request: evaluation_pb2.CreateEvaluationRequest, context: Any
    ) -> evaluation_pb2.Evaluation:
        """Start judging subjects on a dataset split."""
        evaluation = await self._evaluations.create(
            draft_from(request.evaluation), request.evaluation_id, request.request_id
        )
        return _sent(evaluation)

    async def GetEvaluation(  # noqa: N802
        self, request: evaluation_pb2.GetEvaluationRequest, context: Any
    ) -> evaluation_pb2.Evaluation:
        """One evaluation with everything judged so far."""
        return _sent(await self._evaluations.get(request.name))

    async def ListEvaluations(  # noqa: N802
        self, request: evaluation_pb2.ListEvaluationsRequest, context: Any
    ) -> evaluation_pb2.ListEvaluationsResponse:
        """A page of evaluations, without per-frame results."""
        page = await self._evaluations.list(request.page_size, request.page_token, request.search)
        return evaluation_pb2.ListEvaluationsResponse(
            evaluations=[_sent(evaluation) for evaluation in page.items],
            next_page_token=page.next_page_token,
        )

    async def WatchEvaluation(  # noqa: N802
        self, request: evaluation_pb2.WatchEvaluationRequest, context: Any
    ) -> AsyncIterator[evaluation_pb2.Evaluation]:
        """The evaluation now, after each clip or with each frame, and in its final state."""
        watch = self._watching.watch_frames if request.frames else self._watching.watch
        async for evaluation in watch(request.name):
            yield _sent(evaluation)

    async def CancelEvaluation(  # noqa: N802
        self, request: evaluation_pb2.CancelEvaluationRequest, context: Any
    ) -> evaluation_pb2.Evaluation:
        """Have nothing more judged."""
        return _sent(await self._evaluations.cancel(request.name))

    async def CompareSubjects(  # noqa: N802
        self, request: evaluation_pb2.CompareSubjectsRequest, context: Any
    ) -> evaluation_pb2.CompareSubjectsResponse:
        """Which of two subjects is better."""
        scope = wire.scope_from(request.scope)
        if scope is None:
            raise InvalidArgumentError(
                "scope", f"there is no scope {request.scope}; use SCOPE_THESE_CLIPS or SCOPE_OTHER_CLIPS"
            )
        found = await self._comparing.compare(
            request.evaluation,
            request.subject,
            request.baseline,
            request.baseline_evaluation,
            dict(request.margins),
            scope,
        )
        return evaluation_pb2.CompareSubjectsResponse(comparisons=[wire.comparison_to(c) for c in found])

    async def CheckGate(  # noqa: N802
        self, request: evaluation_pb2.CheckGateRequest, context: Any
    ) -> evaluation_pb2.GateReport:
        """Judge an evaluation by a gate."""
        return wire.gate_report_to(await self._comparing.check_gate(request.evaluation, request.gate))


def draft_from(message: evaluation_pb2.Evaluation) -> Draft:
    """Read what is asked for; output-only fields are ignored.

    Raises:
        InvalidArgumentError: a field is malformed.
    """
    return Draft(
        dataset=message.dataset,
        split=wire.split_from(message.split),
        subjects=tuple(
            wire.subject_from(subject, f"evaluation.subjects[{index}]")
            for index, subject in enumerate(message.subjects)
        ),
        sensor=wire.sensor_from(message.sensor, "evaluation.sensor"),
        seed=message.seed,
        frames_per_clip=message.frames_per_clip,
        search=message.search,
        trial=message.trial,
        metrics=tuple(message.metrics),
        gate=message.gate,
    )


def _sent(evaluation: Evaluation) -> evaluation_pb2.Evaluation:
    return wire.lightened(wire.evaluation_to(evaluation), wire.GRPC_BYTES)

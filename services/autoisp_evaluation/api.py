"""gRPC: decode, call the use case, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc

from autoisp_evaluation import wire
from autoisp_evaluation.usecases import Evaluations
from autoisp_evaluation.validation import Draft


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServiceServicer):
    """``autoisp.evaluation.v1.EvaluationService``; errors are translated by the server's interceptor."""

    def __init__(self, evaluations: Evaluations) -> None:
        self._evaluations = evaluations

    async def CreateEvaluation(  # noqa: N802 - gRPC's name
        self, request: evaluation_pb2.CreateEvaluationRequest, context: Any
    ) -> evaluation_pb2.Evaluation:
        """Start judging subjects on a dataset split."""
        evaluation = await self._evaluations.create(
            draft_from(request.evaluation), request.evaluation_id, request.request_id
        )
        return wire.evaluation_to(evaluation)

    async def GetEvaluation(  # noqa: N802
        self, request: evaluation_pb2.GetEvaluationRequest, context: Any
    ) -> evaluation_pb2.Evaluation:
        """One evaluation with everything judged so far."""
        return wire.evaluation_to(await self._evaluations.get(request.name))

    async def ListEvaluations(  # noqa: N802
        self, request: evaluation_pb2.ListEvaluationsRequest, context: Any
    ) -> evaluation_pb2.ListEvaluationsResponse:
        """A page of evaluations, without per-frame results."""
        page = await self._evaluations.list(request.page_size, request.page_token, request.search)
        return evaluation_pb2.ListEvaluationsResponse(
            evaluations=[wire.evaluation_to(evaluation) for evaluation in page.items],
            next_page_token=page.next_page_token,
        )

    async def WatchEvaluation(  # noqa: N802
        self, request: evaluation_pb2.WatchEvaluationRequest, context: Any
    ) -> AsyncIterator[evaluation_pb2.Evaluation]:
        """The evaluation now, after each clip, and in its final state."""
        async for evaluation in self._evaluations.watch(request.name):
            yield wire.evaluation_to(evaluation)


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
    )

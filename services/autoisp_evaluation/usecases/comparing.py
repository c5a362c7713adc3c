"""Subjects against one another and against gates, once they are judged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from autoisp_core import names
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from autoisp_core.quality import METRICS, Gate, GateReport, Scope

from autoisp_evaluation.domain import Comparison, Evaluation, State, compared, gate_report
from autoisp_evaluation.usecases.ports import Store


class Comparing:
    """The use cases that look at evaluations that have succeeded.

    Args:
        store: keeps evaluations.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def compare(
        self,
        name: str,
        subject: str,
        baseline: str,
        baseline_name: str = "",
        margins: Mapping[str, float] | None = None,
        scope: Scope = Scope.THESE_CLIPS,
    ) -> list[Comparison]:
        """Which of two subjects is better, by every metric that both have.

        Args:
            name: ``evaluations/{e}`` that judged ``subject``.
            subject, baseline: labels.
            baseline_name: the evaluation that judged ``baseline``; empty: the same.
            margins: by metric, the difference that doesn't matter.

        Raises:
            InvalidArgumentError: a field is wrong, or the two evaluations are of other frames.
            NotFoundError: no such evaluation.
            FailedPreconditionError: one has not succeeded.
        """
        for metric in margins or {}:
            if metric not in METRICS:
                raise InvalidArgumentError(
                    f"margins[{metric[:50]}]", f"no metric {metric[:50]!r}: choose from {', '.join(METRICS)}"
                )
        evaluation = await self._succeeded(name, "evaluation")
        other = evaluation
        if baseline_name and baseline_name != name:
            other = await self._succeeded(baseline_name, "baseline_evaluation")
            _require_same_frames(evaluation, other)
        _require_label(evaluation, subject, "subject")
        _require_label(other, baseline, "baseline")
        if evaluation is other and subject == baseline:
            raise InvalidArgumentError(
                "baseline", f"{subject!r} is compared with itself; name another subject"
            )
        try:
            found = await asyncio.to_thread(
                compared, evaluation, subject, other, baseline, margins or {}, scope
            )
        except InvalidArgumentError as error:
            raise InvalidArgumentError("margins", f"a margin {error.message}") from error
        if not found:
            raise InvalidArgumentError(
                "baseline", "no frame has a metric of both subjects; evaluate both by the same metrics"
            )
        return found

    async def check_gate(self, name: str, text: str) -> GateReport:
        """Judge an evaluation by any gate.

        Raises:
            InvalidArgumentError: the gate says something that no gate can, or names no subject of it.
            NotFoundError: no such evaluation.
            FailedPreconditionError: it has not succeeded.
        """
        gate = Gate.parse(text, "gate")
        evaluation = await self._succeeded(name, "evaluation")
        gate.require([subject.label for subject in evaluation.subjects], "gate")
        return await asyncio.to_thread(gate_report, evaluation, gate)

    async def _succeeded(self, name: str, field: str) -> Evaluation:
        names.EVALUATION.parse(name, field)
        evaluation = await self._store.get(name)
        if evaluation is None:
            raise NotFoundError(name, metadata={"field": field})
        if evaluation.state is not State.SUCCEEDED:
            raise FailedPreconditionError(
                f"{name} is {evaluation.state}; compare and check evaluations that have succeeded",
                reason="NOT_SUCCEEDED",
                metadata={"field": field, "resource": name},
            )
        return evaluation


def _require_label(evaluation: Evaluation, label: str, field: str) -> None:
    labels = [subject.label for subject in evaluation.subjects]
    if label not in labels:
        raise InvalidArgumentError(
            field, f"{evaluation.name} has no subject {label[:70]!r}; its subjects are {', '.join(labels)}"
        )


def _require_same_frames(one: Evaluation, other: Evaluation) -> None:
    """Frames differ unless all that makes them is the same."""
    clips = {clip.clip for clip in one.clips} == {clip.clip for clip in other.clips}
    differing = [
        what
        for what, same in (
            ("dataset", one.dataset == other.dataset),
            ("clips", clips),
            ("sensor", one.sensor == other.sensor),
            ("seed", one.seed == other.seed),
            ("frames_per_clip", one.frames_per_clip == other.frames_per_clip),
        )
        if not same
    ]
    if differing:
        raise InvalidArgumentError(
            "baseline_evaluation",
            f"{one.name} and {other.name} are of other frames: they differ in {', '.join(differing)}; "
            "evaluate both subjects alike",
            reason="OTHER_FRAMES",
        )

"""Is a version good enough? What its evidence says to a gate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from autoisp_core import names
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from autoisp_core.quality import Gate, GateReport

from autoisp_registry.domain import Evidence, GateResult, Model, ModelVersion
from autoisp_registry.ports import JudgedEvaluation, Records


@dataclass(frozen=True)
class Verdict:
    """What a gate said of a version.

    Attributes:
        gate: the result.
        refusal: why the version may not be promoted; None if it may.
        evaluation, evidence_sha256: what it rests on; empty where there is none.
    """

    gate: GateResult
    refusal: FailedPreconditionError | None = None
    evaluation: str = ""
    evidence_sha256: str = ""


class Judging:
    """Runs gates on what evaluations measured.

    Args:
        records: reads evaluations that were kept.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    async def judge(self, model: Model, version: ModelVersion, gate: str, evaluation: str) -> Verdict:
        """What the evidence says to the gate that was asked for, the model's, or the version's own.

        Args:
            gate: TOML; empty: the model's, else what the version's own gate said.
            evaluation: ``evaluations/{e}``; empty: the newest that judged the version.

        Raises:
            InvalidArgumentError: ``gate`` or ``evaluation``.
            NotFoundError: that evaluation did not judge the version.
            DataLossError: the evidence is damaged.
        """
        asked = Gate.parse(gate, "gate") if gate else None
        evidence = _chosen(version, evaluation)
        if asked is None and not model.promotion_gate:
            return await self._recorded(version, evidence, asked=bool(evaluation))
        if evidence is None:
            return _without_evidence(version)
        judged = await self._records.read(evidence.record)
        if asked is None:
            try:
                asked = Gate.parse(model.promotion_gate, "promotion_gate")
                report = await _checked(asked, judged, evidence, "promotion_gate")
            except InvalidArgumentError as error:
                # Of the model, not of this request.
                return _verdict(version, evidence, False, (f"gate: failed, {error.message}",))
        else:
            report = await _checked(asked, judged, evidence, "gate")
        return _of_report(version, evidence, report)

    async def _recorded(self, version: ModelVersion, evidence: Evidence | None, *, asked: bool) -> Verdict:
        """What was said of the version when it was evaluated, last or, if that said nothing, at first."""
        own, first = version.content.gate, version.content.lineage.evaluation
        if evidence is not None and (own is None or evidence.evaluation != first):
            judged = await self._records.read(evidence.record)
            report = judged.report if judged.gate_subject == evidence.label else None
            if report is not None:
                return _verdict(
                    version, evidence, report.passed, tuple(check.text for check in report.checks)
                )
            if own is None or asked:
                return _without_gate(version, evidence)
        if own is None:
            return _without_evidence(version)
        rests_on = next((e for e in version.evidence if e.evaluation == first), None)
        return _verdict(version, rests_on, own.passed, own.checks, first)


def _chosen(version: ModelVersion, evaluation: str) -> Evidence | None:
    if not evaluation:
        return version.evidence[-1] if version.evidence else None
    names.EVALUATION.parse(evaluation, "evaluation")
    found = next((e for e in reversed(version.evidence) if e.evaluation == evaluation), None)
    if found is None:
        there = ", ".join(e.evaluation for e in version.evidence) or "none"
        raise NotFoundError(
            evaluation,
            f"{evaluation} has not judged {version.name}, as far as is known; its evidence: {there}",
            reason="NO_EVIDENCE",
            metadata={"field": "evaluation"},
        )
    return found


async def _checked(gate: Gate, judged: JudgedEvaluation, evidence: Evidence, field: str) -> GateReport:
    # Whatever the gate calls it, it is this version that must pass.
    gate = replace(gate, subject=evidence.label)
    if gate.baseline == evidence.label:
        raise InvalidArgumentError(
            field, f"the gate compares {evidence.label!r} with itself: set another baseline"
        )
    gate.require(list(judged.figures.subjects), field)
    # Intervals of many frames take seconds.
    return await asyncio.to_thread(gate.check, judged.figures)


def _of_report(version: ModelVersion, evidence: Evidence, report: GateReport) -> Verdict:
    return _verdict(version, evidence, report.passed, tuple(check.text for check in report.checks))


def _verdict(
    version: ModelVersion,
    evidence: Evidence | None,
    passed: bool,
    checks: tuple[str, ...],
    evaluation: str = "",
) -> Verdict:
    refusal = None
    if not passed:
        failed = [check for check in checks if ": failed" in check] or list(checks)
        refusal = FailedPreconditionError(
            f"{version.name} does not pass its gate: {'; '.join(failed[:10])}",
            reason="GATE_FAILED",
            metadata={"resource": version.name, "checks": "\n".join(checks)[:4000]},
        )
    sha256 = evidence.record.sha256 if evidence else ""
    return Verdict(
        GateResult(passed, checks), refusal, evaluation or (evidence.evaluation if evidence else ""), sha256
    )


def _without_evidence(version: ModelVersion) -> Verdict:
    dataset = names.id_of(version.content.lineage.dataset) or "DATASET"
    refusal = FailedPreconditionError(
        f"no evaluation has judged {version.name}; run one: autoisp evaluations run --dataset {dataset} "
        f"--subject model={version.name} --subject prototype=builtin:classical",
        reason="NO_EVIDENCE",
        metadata={"resource": version.name},
    )
    return Verdict(GateResult(False, ("evidence: failed, there is none",)), refusal)


def _without_gate(version: ModelVersion, evidence: Evidence) -> Verdict:
    refusal = FailedPreconditionError(
        f"{evidence.evaluation} had no gate that {version.name} could pass: give one, or set promotion_gate "
        f"of {version.model}",
        reason="NO_GATE",
        metadata={"resource": version.name},
    )
    checks = ("gate: failed, there is none",)
    return Verdict(GateResult(False, checks), refusal, evidence.evaluation, evidence.record.sha256)

"""What the worker made of a version, both ways; what comes from outside is checked in reading."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.messages.artifacts import artifact_from, artifact_to
from autoisp_runtime.messages.results import (
    cost_from,
    cost_to,
    failure_from,
    failure_to,
    quality_from,
    quality_to,
)

from autoisp_registry.domain import ConversionState, DeviceLint, EdgeFormat, LintFinding, Severity

_SEVERITIES = {
    registry_pb2.LintFinding.SEVERITY_WARNING: Severity.WARNING,
    registry_pb2.LintFinding.SEVERITY_ERROR: Severity.ERROR,
}
_SEVERITY_NUMBERS = {severity: number for number, severity in _SEVERITIES.items()}

STATES = {
    registry_pb2.CONVERSION_STATE_UNSPECIFIED: ConversionState.NOT_ASKED,
    registry_pb2.CONVERSION_STATE_RUNNING: ConversionState.RUNNING,
    registry_pb2.CONVERSION_STATE_SUCCEEDED: ConversionState.SUCCEEDED,
    registry_pb2.CONVERSION_STATE_FAILED: ConversionState.FAILED,
}
STATE_NUMBERS = {state: number for number, state in STATES.items()}


def format_from(message: registry_pb2.EdgeFormat, field: str) -> EdgeFormat:
    """Read a format.

    Raises:
        InvalidArgumentError: its file's reference is malformed.
    """
    return EdgeFormat(
        message.format,
        artifact_from(message.artifact, f"{field}.artifact") if message.HasField("artifact") else None,
        failure_from(message.failure) if message.HasField("failure") else None,
        quality_from(message.quality) if message.HasField("quality") else None,
        message.psnr_loss_db if message.HasField("psnr_loss_db") else None,
        message.shadow_loss_db if message.HasField("shadow_loss_db") else None,
        cost_from(message.cost) if message.HasField("cost") else None,
        message.note,
        tuple(_lint_from(lint) for lint in message.lints),
    )


def format_to(form: EdgeFormat) -> registry_pb2.EdgeFormat:
    """Write a format."""
    return registry_pb2.EdgeFormat(
        format=form.format,
        artifact=artifact_to(form.artifact) if form.artifact else None,
        failure=failure_to(form.failure) if form.failure else None,
        quality=quality_to(form.quality) if form.quality else None,
        psnr_loss_db=form.psnr_loss_db,
        shadow_loss_db=form.shadow_loss_db,
        cost=cost_to(form.cost) if form.cost else None,
        note=form.note,
        lints=[_lint_to(lint) for lint in form.lints],
    )


def _lint_from(message: registry_pb2.DeviceLint) -> DeviceLint:
    return DeviceLint(
        message.device,
        message.supported,
        tuple(
            LintFinding(
                finding.rule,
                # What a newer worker calls otherwise is not to be taken lightly.
                _SEVERITIES.get(finding.severity, Severity.ERROR),
                finding.reason,
                finding.fix,
                tuple(finding.nodes),
            )
            for finding in message.findings
        ),
    )


def _lint_to(lint: DeviceLint) -> registry_pb2.DeviceLint:
    return registry_pb2.DeviceLint(
        device=lint.device,
        supported=lint.supported,
        findings=[
            registry_pb2.LintFinding(
                rule=finding.rule,
                severity=_SEVERITY_NUMBERS[finding.severity],
                nodes=finding.nodes,
                reason=finding.reason,
                fix=finding.fix,
            )
            for finding in lint.findings
        ],
    )

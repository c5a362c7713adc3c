"""Between the lint's words and the protos."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2
from autoisp_core.lint import DeviceLint, Severity

_SEVERITIES = {
    Severity.ERROR: registry_pb2.LintFinding.SEVERITY_ERROR,
    Severity.WARNING: registry_pb2.LintFinding.SEVERITY_WARNING,
}


def lint_message(lint: DeviceLint) -> registry_pb2.DeviceLint:
    """Encode."""
    return registry_pb2.DeviceLint(
        device=lint.device,
        supported=lint.supported,
        findings=[
            registry_pb2.LintFinding(
                rule=finding.rule,
                severity=_SEVERITIES[finding.severity],
                nodes=finding.nodes,
                reason=finding.reason,
                fix=finding.fix,
            )
            for finding in lint.findings
        ],
    )

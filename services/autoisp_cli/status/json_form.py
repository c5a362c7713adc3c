"""A snapshot as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoisp_cli.status.collect import Snapshot
from autoisp_cli.status.findings import Finding
from autoisp_cli.views.json_lines import message_dict


def snapshot_dict(snapshot: Snapshot, found: Sequence[Finding]) -> dict[str, Any]:
    """Everything of it, and what is wrong; messages in their canonical JSON form."""
    broker = snapshot.broker
    return {
        "time": snapshot.time.isoformat(timespec="seconds"),
        "well": not any(finding.bad for finding in found),
        "problems": [_said(finding) for finding in found if finding.bad],
        "warnings": [_said(finding) for finding in found if not finding.bad],
        "services": [
            {
                "name": part.name,
                "address": part.address,
                "health": part.health,
                "error": part.error,
                **({"status": _own(message_dict(part.status))} if part.status is not None else {}),
            }
            for part in snapshot.parts
        ],
        "broker": None if broker is None else message_dict(broker),
        "queue": None
        if broker is None
        else {
            kind: {"waiting": waiting, "in_work": in_work} for kind, waiting, in_work in snapshot.commands()
        },
        "dead_letters": None if broker is None else broker.dead_letters,
        "processes": [message_dict(process) for process in snapshot.processes],
        "searches": None
        if snapshot.searches is None
        else [message_dict(search) for search in snapshot.searches],
    }


def _said(finding: Finding) -> dict[str, str]:
    return {"what": finding.what, "todo": finding.todo}


def _own(status: dict[str, Any]) -> dict[str, Any]:
    """Without what all services see alike."""
    return {key: value for key, value in status.items() if key not in ("broker", "processes", "broker_error")}

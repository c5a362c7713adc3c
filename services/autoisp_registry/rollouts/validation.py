"""What devices and people may say; every complaint names the field as the request's proto spells it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autoisp_core.errors import InvalidArgumentError

MAX_DEVICE_ID_CHARS = 256
MAX_TESTERS = 1000
MAX_TESTERS_BYTES = 256 << 10
"""Of all testers together: a channel with two rollouts has to fit into an event."""
MAX_FORMATS = 20

_COHORT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ROLLOUT_ID = re.compile(r"r[0-9a-z]{22}")


def validate_device_id(device_id: str, field: str = "device_id") -> None:
    """Check the id of a device.

    Raises:
        InvalidArgumentError: it is empty or too long.
    """
    if not 1 <= len(device_id) <= MAX_DEVICE_ID_CHARS:
        raise InvalidArgumentError(
            field,
            f"{field} has {len(device_id)} characters; give 1 to {MAX_DEVICE_ID_CHARS} that never change",
        )


def validate_rollout_id(rollout_id: str) -> None:
    """Check the id of a rollout.

    Raises:
        InvalidArgumentError: ResolveModel answers none of this form.
    """
    if not _ROLLOUT_ID.fullmatch(rollout_id):
        raise InvalidArgumentError(
            "rollout_id", f"{rollout_id[:80]!r} is no rollout's id; give the one that ResolveModel answered"
        )


def validate_cohort(cohort: str, field: str) -> None:
    """Check the name of a cohort; empty is none.

    Raises:
        InvalidArgumentError: it has another form.
    """
    if cohort and not _COHORT.fullmatch(cohort):
        raise InvalidArgumentError(
            field, f"{cohort[:80]!r} can't name a cohort; use 1 to 63 lowercase letters, digits or '-'"
        )


def testers_from(testers: Sequence[str], field: str) -> tuple[str, ...]:
    """The testers, each once.

    Raises:
        InvalidArgumentError: they are too many, or one is no device id.
    """
    if len(testers) > MAX_TESTERS:
        raise InvalidArgumentError(field, f"give at most {MAX_TESTERS} testers; a share reaches more devices")
    for tester in testers:
        validate_device_id(tester, field)
    if sum(len(tester.encode()) for tester in testers) > MAX_TESTERS_BYTES:
        raise InvalidArgumentError(field, f"testers have at most {MAX_TESTERS_BYTES} bytes together")
    return tuple(dict.fromkeys(testers))

"""How a version does on the devices that report, and when that is bad enough to halt."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from autoisp_core.errors import InvalidArgumentError

MAX_REASONS = 20
OTHER = "OTHER"
"""Stands for all reasons beyond the first :data:`MAX_REASONS`, and for a failure without one."""

_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}")


@dataclass(frozen=True)
class HaltRule:
    """Halt when more than ``max_failure_rate`` of at least ``min_devices`` reporting devices fail."""

    max_failure_rate: float = 0.01
    min_devices: int = 100
    disabled: bool = False


@dataclass(frozen=True)
class Outcomes:
    """Devices that reported, each counted once; a failure outweighs a success."""

    succeeded: int = 0
    failed: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def devices(self) -> int:
        """All that reported."""
        return self.succeeded + self.failed

    def counted(self, earlier: bool | None, reason: str | None) -> Outcomes:
        """The counts after a device's report.

        Args:
            earlier: whether the device was counted as failed before; None if it was not counted.
            reason: of its failure, which may be empty; None for a success.
        """
        if earlier or (earlier is False and reason is None):
            return self
        if reason is None:
            return replace(self, succeeded=self.succeeded + 1)
        kept = reason or OTHER
        named = len(self.reasons) - (OTHER in self.reasons)
        if kept not in self.reasons and named >= MAX_REASONS:
            kept = OTHER
        return Outcomes(
            self.succeeded - (earlier is False),
            self.failed + 1,
            {**self.reasons, kept: self.reasons.get(kept, 0) + 1},
        )


def halts(rule: HaltRule, before: Outcomes, after: Outcomes) -> bool:
    """Whether the report that led from ``before`` to ``after`` reached the rule.

    A success reaches it only by being the one that makes the devices enough: a rollout that was resumed
    with its counts kept goes on until the next failure.
    """
    if rule.disabled or after is before or after.devices < rule.min_devices:
        return False
    if after.failed == before.failed and before.devices >= rule.min_devices:
        return False
    # In doubles 0.29 of 100 is a little less than 29: a rate that is just reached is not passed.
    return after.failed - rule.max_failure_rate * after.devices > 1e-9 * after.devices


def report_key(tally: str, device_id: str) -> bytes:
    """What stands for a device among the reports of a tally: 24 bytes, of which the first 8 are the tally's.

    They tell nothing of the device's reports of other tallies.
    """
    return _tally_key(tally) + hashlib.sha256(f"outcome/{tally}/{device_id}".encode()).digest()[:16]


def report_keys(tally: str) -> tuple[bytes, bytes]:
    """The first and the last key that a tally's reports can have."""
    return _tally_key(tally) + bytes(16), _tally_key(tally) + b"\xff" * 16


def _tally_key(tally: str) -> bytes:
    return hashlib.sha256(f"tally/{tally}".encode()).digest()[:8]


def halt_rule_from(max_failure_rate: float, min_devices: int, disabled: bool, field: str) -> HaltRule:
    """Check and build; zeros stand for the defaults.

    Raises:
        InvalidArgumentError: naming the part of ``field`` that is wrong.
    """
    if not (math.isfinite(max_failure_rate) and 0 <= max_failure_rate <= 1):
        raise InvalidArgumentError(
            f"{field}.max_failure_rate", f"max_failure_rate is {max_failure_rate}; give 0 to 1 (0 means 0.01)"
        )
    if not 0 <= min_devices <= 1_000_000_000:
        raise InvalidArgumentError(
            f"{field}.min_devices", f"min_devices is {min_devices}; give 0 to 1,000,000,000 (0 means 100)"
        )
    defaults = HaltRule()
    return HaltRule(
        max_failure_rate or defaults.max_failure_rate, min_devices or defaults.min_devices, disabled
    )


def validate_reason(reason: str, failed: bool) -> None:
    """Check the reason of a report.

    Raises:
        InvalidArgumentError: a success has none, and a failure's is UPPER_SNAKE_CASE.
    """
    if reason and not failed:
        raise InvalidArgumentError("reason", "a success has no reason; leave it empty, or set failed")
    if reason and not _REASON.fullmatch(reason):
        raise InvalidArgumentError(
            "reason",
            f"{reason[:80]!r} is no reason; use at most 63 characters of UPPER_SNAKE_CASE, as LOAD_FAILED",
        )

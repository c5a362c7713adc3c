"""Gates: what a network must reach, as a small file that says it.

A gate is data: TOML with one table per check. It is read strictly, since a check that is spelt wrong and
left out would let through what it was written to stop.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.profile_toml import parsed_toml
from autoisp_core.quality.figures import COSTS, Figures, Quantity, quantity_names
from autoisp_core.quality.gate_check import Bound, Check, Confidence, Slice
from autoisp_core.quality.gate_report import GateReport, clips_judged
from autoisp_core.quality.metric import METRICS, Direction, Metric

MAX_CHECKS = 100
_TEXT_CHARS = 200
_KEYS = ("subject", "baseline", "check")
_CHECK_KEYS = ("metric", *Bound, "slice", "confidence")


@dataclass(frozen=True, slots=True)
class Gate:
    """What a subject must reach.

    Attributes:
        subject: the label of what is judged.
        baseline: the label of what it is compared with.
        checks: all must pass, and every clip must have been judged.
    """

    subject: str
    baseline: str
    checks: tuple[Check, ...]

    @classmethod
    def parse(cls, text: str, field: str = "gate") -> Gate:
        """Reads a gate.

        >>> gate = Gate.parse('[[check]]\\nmetric = "psnr"\\nat_least = 30.0')
        >>> gate.subject, gate.baseline, gate.checks[0].metric
        ('model', 'prototype', 'psnr')

        Args:
            text: TOML; the guide "evaluation" documents it.
            field: what errors name.

        Raises:
            InvalidArgumentError: it is no TOML, too long, or says something that no gate can.
        """
        data = parsed_toml(field, text, "gate")
        _known(data, _KEYS, "the gate", field)
        tables = data.get("check", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise InvalidArgumentError(field, "write each check as a table: [[check]], with two brackets")
        if not 1 <= len(tables) <= MAX_CHECKS:
            raise InvalidArgumentError(
                field, f"the gate has {len(tables)} checks: write 1 to {MAX_CHECKS} tables [[check]]"
            )
        gate = cls(
            _label(data, "subject", "model", field),
            _label(data, "baseline", "prototype", field),
            tuple(_check(table, number, field) for number, table in enumerate(tables, 1)),
        )
        if gate.subject == gate.baseline:
            raise InvalidArgumentError(
                field, f"subject and baseline of the gate are both {gate.subject!r}: name two subjects"
            )
        return gate

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of frames that have to be measured for it."""
        asked = {check.metric for check in self.checks}
        return tuple(name for name in METRICS if name in asked)

    def require(self, labels: Collection[str], field: str = "gate") -> None:
        """Checks that the subjects it names are there.

        Raises:
            InvalidArgumentError: one is missing.
        """
        there = ", ".join(labels)
        if self.subject not in labels:
            raise InvalidArgumentError(
                field, f"the gate judges {self.subject!r}, but the subjects are {there}: set its subject"
            )
        needs = next((number for number, check in enumerate(self.checks, 1) if check.needs_baseline), None)
        if needs is not None and self.baseline not in labels:
            raise InvalidArgumentError(
                field,
                f"check {needs} of the gate compares with {self.baseline!r}, but the subjects are {there}: "
                "set its baseline",
            )

    def check(self, figures: Figures) -> GateReport:
        """Judges what was measured; what was not does not pass."""
        checks = [check.judged(figures, self.subject, self.baseline) for check in self.checks]
        return GateReport.of([*checks, clips_judged(len(figures.clips), figures.clips_wanted)])


def _check(table: Mapping[str, Any], number: int, field: str) -> Check:
    name = table.get("metric")
    where = f"check {number} of the gate" + (f" ({name})" if isinstance(name, str) else "")
    _known(table, _CHECK_KEYS, where, field)
    if not isinstance(name, str) or name not in (*METRICS, *COSTS):
        said = "has no metric" if name is None else f"has no known metric: {_shown(name)}"
        raise InvalidArgumentError(field, f"{where} {said}; choose from {', '.join(quantity_names())}")
    bounds = [bound for bound in Bound if bound in table]
    if len(bounds) != 1:
        said = " and ".join(bounds) or "no bound"
        raise InvalidArgumentError(field, f"{where} has {said}: give exactly one of {', '.join(Bound)}")
    quantity = METRICS.get(name) or COSTS[name]
    bound = bounds[0]
    check = Check(
        name,
        bound,
        _number(table[bound], bound, where, field),
        _slice(table.get("slice", "all"), where, field),
        _confidence(table.get("confidence", "mean"), where, field),
    )
    _sensible(check, quantity, where, field)
    return check


def _sensible(check: Check, quantity: Metric | Quantity, where: str, field: str) -> None:
    """Refuses what could only be a mistake."""
    right = Bound.AT_LEAST if quantity.direction is Direction.HIGHER else Bound.AT_MOST
    if not check.bound.of_baseline and check.bound is not right:
        raise InvalidArgumentError(
            field, f"{where} has {check.bound}, but {quantity.direction} is better: use {right}"
        )
    if check.bound.of_baseline and check.limit < 0:
        raise InvalidArgumentError(field, f"{where}: {check.bound} must be 0 or more, is {check.limit:g}")
    if isinstance(quantity, Quantity):
        if check.bound.of_baseline and quantity.of_baseline:
            raise InvalidArgumentError(
                field, f"{where}: {quantity.name} compares with the baseline already: use at_least"
            )
        if check.slice.kind != "all" or check.confidence is not Confidence.MEAN:
            raise InvalidArgumentError(
                field,
                f"{where}: {quantity.name} is one number for all frames: leave out slice and confidence",
            )
    if check.slice.kind == "worst_frames" and check.confidence is not Confidence.MEAN:
        raise InvalidArgumentError(field, f"{where}: the worst frames have no interval: leave out confidence")
    if check.slice.of_one_clip and check.confidence is Confidence.OTHER_CLIPS:
        raise InvalidArgumentError(
            field, f'{where}: one clip says nothing of others: use confidence = "these_clips"'
        )


def _slice(value: Any, where: str, field: str) -> Slice:
    found = Slice.parse(value) if isinstance(value, str) and len(value) <= _TEXT_CHARS else None
    if found is None:
        raise InvalidArgumentError(
            field,
            f"{where} has no known slice: {_shown(value)}; use all, each, worst_clip, clip:PATTERN (such "
            "as clip:night*) or worst_frames:N% (such as worst_frames:5%)",
        )
    return found


def _confidence(value: Any, where: str, field: str) -> Confidence:
    if not isinstance(value, str) or value not in list(Confidence):
        raise InvalidArgumentError(
            field, f"{where} has no known confidence: {_shown(value)}; use {', '.join(Confidence)}"
        )
    return Confidence(value)


def _number(value: Any, key: str, where: str, field: str) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or abs(value) > 1e300 or not math.isfinite(value):
        raise InvalidArgumentError(field, f"{where}: {key} must be a finite number, is {_shown(value)}")
    return float(value)


def _shown(value: Any) -> str:
    """The beginning of it. Python writes no numbers of thousands of digits, but TOML may hold some."""
    try:
        return repr(str(value)[:50])
    except ValueError:
        return "a number of thousands of digits"


def _label(data: Mapping[str, Any], key: str, default: str, field: str) -> str:
    value = data.get(key, default)
    if not isinstance(value, str) or not 1 <= len(value) <= _TEXT_CHARS:
        raise InvalidArgumentError(field, f"{key} of the gate must be a subject's label, such as {default!r}")
    return value


def _known(table: Mapping[str, Any], keys: Collection[str], where: str, field: str) -> None:
    if unknown := sorted(set(table) - set(keys)):
        raise InvalidArgumentError(
            field, f"{where} has an unknown key {unknown[0][:50]!r}; it can have {', '.join(keys)}"
        )

"""What a gate says: one line for people per check, and the numbers for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_MORE_DIGITS = 12


@dataclass(frozen=True, slots=True)
class GateCheck:
    """One check.

    Attributes:
        passed: or not; what was not measured does not pass.
        text: what was compared with what.
        value, bound: the two numbers; None where nothing was measured.
    """

    passed: bool
    text: str
    value: float | None = None
    bound: float | None = None


@dataclass(frozen=True, slots=True)
class GateReport:
    """All checks of a gate; it passed if each did."""

    passed: bool
    checks: tuple[GateCheck, ...]

    @classmethod
    def of(cls, checks: Iterable[GateCheck]) -> GateReport:
        """The report of these checks."""
        kept = tuple(checks)
        return cls(all(check.passed for check in kept), kept)


def checked(
    name: str,
    value: float | None,
    bound: float,
    *,
    at_least: bool,
    unit: str = "",
    more: str = "",
    reach: float | None = None,
    signed: bool = False,
) -> GateCheck:
    """Compares a number with its bound.

    >>> checked("psnr", 31.2, 30.0, at_least=True, unit="dB").text
    'psnr: passed, 31.20 dB >= 30.00 dB'

    Args:
        name: of what is checked.
        value: of it; None or not finite: it was not measured, and does not pass.
        at_least: else at most.
        more: what else to say, such as " (limit)".
        reach: the end of the value's interval that has to keep the bound, instead of the value itself.
        signed: whether to write the sign of positive numbers too.
    """
    if value is None or not math.isfinite(value):
        return GateCheck(False, f"{name}: failed, it was not measured", None, bound)
    tested = value if reach is None else reach
    if not math.isfinite(tested):
        few = f"{with_unit(value, unit, signed=signed)} of too few frames or clips for an interval"
        return GateCheck(False, f"{name}: failed, {few}", value, bound)
    passed = tested >= bound if at_least else tested <= bound
    sign = {(True, True): ">=", (True, False): "<", (False, True): "<=", (False, False): ">"}[
        at_least, passed
    ]
    shown, limit = _texts(tested, bound, unit, signed)
    found = shown if reach is None else f"{shown} ({'low' if at_least else 'high'} end of the interval)"
    verdict = "passed" if passed else "failed"
    return GateCheck(passed, f"{name}: {verdict}, {found} {sign} {limit}{more}", value, bound)


def clips_judged(judged: int, wanted: int) -> GateCheck:
    """Whether every clip was judged by every subject: one that breaks a network must not be left out."""
    passed = 0 < wanted == judged
    verdict = "passed" if passed else "failed"
    return GateCheck(passed, f"clips_judged: {verdict}, {judged} of {wanted}", float(judged), float(wanted))


def with_unit(number: float, unit: str, *, signed: bool = False) -> str:
    """A number for people: as many digits as its unit deserves."""
    sign = "+" if signed else ""
    if unit in ("dB", "×"):
        text = f"{number:{sign}.2f}"
    elif math.isfinite(number) and number == int(number):
        text = f"{number:{sign},.0f}"
    else:
        text = f"{number:{sign},.1f}" if abs(number) >= 1000 else f"{number:{sign}.4g}"
    return _joined(text, unit)


def _joined(text: str, unit: str) -> str:
    return text + (unit if unit in ("", "×", "%") else f" {unit}")


def _texts(value: float, bound: float, unit: str, signed: bool) -> tuple[str, str]:
    """Both with digits enough to tell them apart."""
    texts = (with_unit(value, unit, signed=signed), with_unit(bound, unit, signed=signed))
    if texts[0] == texts[1] and value != bound:
        sign = "+" if signed else ""
        return tuple(_joined(f"{number:{sign}.{_MORE_DIGITS}g}", unit) for number in (value, bound))  # type: ignore[return-value]
    return texts

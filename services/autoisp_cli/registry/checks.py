"""What a gate said, as ticks and crosses."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

_PASSED, _FAILED = ": passed, ", ": failed, "


def check_line(check: str) -> Text:
    """One check of a gate: ``✓ psnr: 31.20 dB >= 30.00 dB``; as it is, if it says neither."""
    name, passed, rest = check.partition(_PASSED)
    if passed:
        return Text.assemble(("✓ ", "green"), (name, "bold"), f": {rest}")
    name, failed, rest = check.partition(_FAILED)
    if failed:
        return Text.assemble(("✗ ", "bold red"), (name, "bold"), f": {rest}")
    return Text(f"  {check}")


def check_lines(checks: Iterable[str]) -> list[Text]:
    """All checks, what failed first."""
    return [check_line(check) for check in sorted(checks, key=lambda check: _FAILED not in check)]


def failed_of(checks: Iterable[str]) -> list[str]:
    """Those that failed."""
    return [check for check in checks if _FAILED in check]

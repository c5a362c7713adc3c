"""Figures as people read them."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_cli.report.outcome import MODEL, PROTOTYPE, Outcome, macs


@dataclass(frozen=True)
class Row:
    """One line of the comparison: ``change`` is how the network differs, ``better`` whether for the good."""

    name: str
    unit: str
    prototype: str
    model: str
    change: str = ""
    better: bool | None = None


def comparison(outcome: Outcome) -> list[Row]:
    """Prototype against found network, quality first."""
    slow, fast = outcome.total(PROTOTYPE), outcome.total(MODEL)
    return [
        _quality_row("PSNR", "dB", slow.quality.psnr_db, fast.quality.psnr_db, 2),
        _quality_row("SSIM", "", slow.quality.ssim, fast.quality.ssim, 4),
        _ratio_row("Arithmetic", "MAC per output pixel", macs(slow.cost), macs(fast.cost)),
        _ratio_row(
            "Time",
            "ms per megapixel, 1 thread",
            slow.cost.seconds_per_megapixel * 1e3 or None,
            fast.cost.seconds_per_megapixel * 1e3 or None,
            outcome.latency_ratio,
        ),
        _ratio_row("Parameters", "", slow.cost.parameters or None, fast.cost.parameters or None),
        _ratio_row("File", "bytes of ONNX", slow.cost.size_bytes or None, fast.cost.size_bytes or None),
    ]


def number(value: float | None) -> str:
    """Four significant digits with thin spaces between thousands; a dash for what can't be known."""
    if value is None:
        return "–"
    written = f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    return written.replace(",", "\u202f")


def figure(value: float) -> str:
    """Three significant digits, all of them for large numbers: ``0.25``, ``117``, ``2,877``."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """``4 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _quality_row(name: str, unit: str, slow: float, fast: float, digits: int) -> Row:
    change = f"{fast - slow:+.{digits}f}"
    return Row(name, unit, f"{slow:.{digits}f}", f"{fast:.{digits}f}", change, fast >= slow)


def _ratio_row(
    name: str, unit: str, slow: float | None, fast: float | None, ratio: float | None = None
) -> Row:
    ratio = ratio or (slow / fast if slow and fast else None)
    if ratio is None:
        return Row(name, unit, number(slow), number(fast))
    change = f"1/{ratio:.3g}" if ratio < 1000 else f"1/{ratio:,.0f}"
    if ratio < 1:
        change = f"{1 / ratio:.3g}×"
    return Row(name, unit, number(slow), number(fast), change, ratio >= 1)

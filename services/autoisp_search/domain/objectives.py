"""What a search wants of its networks."""

from __future__ import annotations

from enum import StrEnum


class Objective(StrEnum):
    """Something to get more of (quality) or less of (the costs)."""

    QUALITY = "quality"
    """PSNR, in dB."""
    MACS = "macs"
    """Multiply-accumulates per output pixel."""
    LATENCY = "latency"
    """Seconds per output megapixel, as measured."""

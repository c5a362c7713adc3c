"""Which colour each subject has, in every chart and table of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoisp_cli.report.outcome import MODEL, PROTOTYPE

HUES = 8
"""How many the style sheet has; the subjects after these share them, dashed."""
_RESERVED = {MODEL: 0, PROTOTYPE: 1}


@dataclass(frozen=True)
class Colour:
    """A class of the style sheet."""

    name: str


def colours(labels: Sequence[str]) -> dict[str, Colour]:
    """A colour for each subject; those of model and prototype are the same in every report."""
    places = {label: place for label, place in _RESERVED.items() if label in labels}
    free = (place for place in range(2 * HUES) if place not in places.values())
    for label in labels:
        if label not in places:
            places[label] = next(free, 0)
    return {
        label: Colour(f"hue{places[label] % HUES}" + (" dashed" if places[label] >= HUES else ""))
        for label in labels
    }

"""The same block in other sizes."""

from __future__ import annotations

from dataclasses import replace

from autoisp_core.spec import SearchSpace, Spec


def sizes_of(spec: Spec, space: SearchSpace) -> list[Spec]:
    """The spec with every width and number of repeats of the space."""
    return [
        replace(spec, width=width, repeats=repeats) for width in space.widths for repeats in space.repeats
    ]

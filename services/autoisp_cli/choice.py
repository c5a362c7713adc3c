"""One choice of a run, as it is shown before the work begins and kept in the report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What was chosen, and how to choose otherwise.

    Attributes:
        name: what was to be chosen: ``Strategy``.
        value: what it will be: ``predictor``.
        why: the reason, where nobody asked for it; empty for what the user said.
        option: what decides it: ``--strategy``; empty where no option does.
    """

    name: str
    value: str
    why: str = ""
    option: str = ""

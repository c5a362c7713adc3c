"""Puts the report of an evaluation where the user wants it: each file complete or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from autoisp_cli.report.evaluation.document import document
from autoisp_cli.report.evaluation.frames_csv import frames_csv
from autoisp_cli.report.evaluation.judged import Judged
from autoisp_cli.report.evaluation.page import render
from autoisp_cli.report.write import PAGE, write_atomically

FIGURES, FRAMES = "evaluation.json", "frames.csv"


def write_evaluation(judged: Judged, folder: Path) -> dict[str, Any]:
    """Writes ``index.html``, ``frames.csv`` and last ``evaluation.json``, whose content it returns.

    Raises:
        ResourceExhaustedError: the disk is full or the folder can't be written.
    """
    figures = document(judged)
    write_atomically(folder / PAGE, render(judged))
    write_atomically(folder / FRAMES, frames_csv(judged))
    write_atomically(folder / FIGURES, json.dumps(figures, indent=1, allow_nan=False) + "\n")
    return figures

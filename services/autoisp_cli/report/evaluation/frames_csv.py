"""``frames.csv``: every value of an evaluation, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
import math

from autoisp_cli.report.evaluation.judged import Judged, numbers, results_of

KEYS = ("clip", "clip_name", "frame", "subject")
"""The columns before those of the metrics."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def frames_csv(judged: Judged) -> str:
    """One row for each clip, frame and subject, one column for each metric; empty where there is no value.

    After RFC 4180. Names that a spreadsheet would take for a formula are given an apostrophe in front.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    metrics = [metric.name for metric in judged.metrics]
    writer.writerow([*KEYS, *metrics])
    for clip in judged.clips:
        names = [as_text(clip.clip), as_text(clip.display_name)]
        for result in clip.subjects:
            found = results_of(result)
            columns = [list(found[name].values) if name in found else [] for name in metrics]
            for index, frame in enumerate(numbers(result)):
                row = [column[index] if index < len(column) else math.nan for column in columns]
                writer.writerow([*names, frame, as_text(result.label), *map(_value, row)])
    return out.getvalue()


def as_text(name: str) -> str:
    """The name, such that a spreadsheet shows it and does not compute it."""
    return f"'{name}" if name.startswith(_FORMULA) else name


def _value(value: float) -> str:
    return f"{value:.7g}" if math.isfinite(value) else ""

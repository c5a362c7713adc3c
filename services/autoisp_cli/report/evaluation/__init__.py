"""The report of an evaluation: a page for people, JSON and CSV for programs."""

from autoisp_cli.report.evaluation.judged import Judged
from autoisp_cli.report.evaluation.write import write_evaluation

__all__ = ["Judged", "write_evaluation"]

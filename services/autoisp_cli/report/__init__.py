"""The report of a finished job: `index.html` for people, `result.json` for programs."""

from autoisp_cli.report.outcome import Outcome
from autoisp_cli.report.write import write_report

__all__ = ["Outcome", "write_report"]

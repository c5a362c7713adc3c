"""Quality as numbers: which metrics there are, and what many values of them say.

Plain Python: services that compute no pixels list metrics, judge gates and write reports with it.
"""

from autoisp_core.quality.comparison import Comparison, Scope, Verdict, compare
from autoisp_core.quality.estimate import Estimate, Summary, summarize
from autoisp_core.quality.metric import METRICS, Direction, Metric, metrics_named, without_truth
from autoisp_core.quality.worst import WorstFrame, WorstFrames

__all__ = [
    "METRICS",
    "Comparison",
    "Direction",
    "Estimate",
    "Metric",
    "Scope",
    "Summary",
    "Verdict",
    "WorstFrame",
    "WorstFrames",
    "compare",
    "metrics_named",
    "summarize",
    "without_truth",
]

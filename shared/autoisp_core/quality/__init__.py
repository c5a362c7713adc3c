"""Quality as numbers: which metrics there are, and what many values of them say.

Plain Python: services that compute no pixels list metrics, judge gates and write reports with it.
"""

from autoisp_core.quality.comparison import Comparison, Scope, Verdict, compare
from autoisp_core.quality.estimate import DrawnMeans, Estimate, Summary, summarize
from autoisp_core.quality.figures import COSTS, Figures, Quantity, SubjectFigures
from autoisp_core.quality.gate import Gate
from autoisp_core.quality.gate_check import Bound, Check, Confidence, Slice
from autoisp_core.quality.gate_report import GateCheck, GateReport
from autoisp_core.quality.metric import METRICS, Direction, Metric, metrics_named, without_truth
from autoisp_core.quality.worst import WorstFrame, WorstFrames

__all__ = [
    "COSTS",
    "METRICS",
    "Bound",
    "Check",
    "Comparison",
    "Confidence",
    "Direction",
    "DrawnMeans",
    "Estimate",
    "Figures",
    "Gate",
    "GateCheck",
    "GateReport",
    "Metric",
    "Quantity",
    "Scope",
    "Slice",
    "SubjectFigures",
    "Summary",
    "Verdict",
    "WorstFrame",
    "WorstFrames",
    "compare",
    "metrics_named",
    "summarize",
    "without_truth",
]

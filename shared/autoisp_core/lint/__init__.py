"""Whether a device's accelerator runs a graph: rules over a small description of it, devices as data.

Pure Python: `autoisp_isp.lint` describes ONNX files for it.
"""

from autoisp_core.lint.accelerator import Accelerator, Conditions
from autoisp_core.lint.accelerator_toml import (
    accelerator_named,
    parse_accelerator,
    profile_text,
    shipped_names,
)
from autoisp_core.lint.check import lint_graph
from autoisp_core.lint.finding import MAX_NODES, DeviceLint, Finding, Rule, Severity
from autoisp_core.lint.graph import Graph, Node, Tensor

__all__ = [
    "MAX_NODES",
    "Accelerator",
    "Conditions",
    "DeviceLint",
    "Finding",
    "Graph",
    "Node",
    "Rule",
    "Severity",
    "Tensor",
    "accelerator_named",
    "lint_graph",
    "parse_accelerator",
    "profile_text",
    "shipped_names",
]

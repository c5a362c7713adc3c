"""Recurrence in the exported graph: the state is an input and an output, and whoever runs it carries it.

Inputs ``state`` (N, width, H, W) and ``state_valid`` (N, 1), outputs ``state_out`` and ``state_valid_out`` of
the same shapes. Feature height H is the raw height h over half the packing, rounded up; the dimension's name
says so ("h", "h/2" or "h/4"). A stream starts, also after a scene cut, with zeros for all of them;
``state_valid`` 0 gives exactly what the frame alone gives. :mod:`autoisp_isp.scene_cut` tells where a scene
begins.
"""

from __future__ import annotations

import numpy as np
from autoisp_core.spec import Spec
from onnx import numpy_helper

from autoisp_isp.export_graph import Dimensions, GraphWriter, convolution
from autoisp_isp.network.fusion import Fusion


def state_inputs(spec: Spec) -> Dimensions:
    """The state that a recurrent network takes: dimensions by name."""
    cell = spec.packing // 2
    over = "" if cell == 1 else f"/{cell}"
    return {"state": ["N", spec.width, f"h{over}", f"w{over}"], "state_valid": ["N", 1]}


def state_outputs(spec: Spec) -> Dimensions:
    """The state that it gives: what the next frame's inputs get."""
    return {f"{name}_out": dimensions for name, dimensions in state_inputs(spec).items()}


def fuse(graph: GraphWriter, fusion: Fusion, fresh: str) -> str:
    """The twin of :class:`~autoisp_isp.network.fusion.Fusion`; its result is the new state."""
    change = graph.node("Sub", ["state", fresh])
    around = convolution(graph, fusion.around, graph.node("Abs", [change]), "fusion.around")
    gate = convolution(graph, fusion.gate, around, "fusion.gate")
    valid = graph.node("Unsqueeze", ["state_valid", graph.integers(2, 3)])
    trust = graph.node("Mul", [graph.node("Sigmoid", [gate]), valid])
    fused = graph.node("Add", [fresh, graph.node("Mul", [trust, change])])
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    ones = graph.node("ConstantOfShape", [graph.node("Shape", ["state_valid"])], value=one)
    graph.rename(ones, "state_valid_out")
    return graph.rename(fused, "state_out")

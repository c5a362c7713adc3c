"""A small writer of ONNX graphs: named values, shared constants, the fixed maths of every network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from autoisp_isp.network import fixed

OPSET = 18
IR_VERSION = 8

Dimensions = dict[str, Sequence[int | str]]
"""Dimensions of a graph's inputs or outputs by name; a string stands for any size."""


class GraphWriter:
    """Collects nodes and initializers; every method returns the name of the value it made."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Appends a node with one output."""
        return self.nodes(operator, inputs, 1, **attributes)[0]

    def nodes(self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Appends a node with several outputs."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        results = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), results, name=name, **attributes))
        return results

    def tensor(self, name: str, values: npt.NDArray[np.float32]) -> str:
        """Adds learned weights under their own name."""
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def number(self, value: float) -> str:
        """A float scalar, shared by all who use the same one."""
        name = f"number_{np.float32(value)}"
        self._initializers[name] = numpy_helper.from_array(np.array(value, np.float32), name)
        return name

    def numbers(self, *values: float) -> str:
        """A float vector of fixed settings."""
        name = "numbers_" + "_".join(map(str, values))
        self._initializers[name] = numpy_helper.from_array(np.array(values, np.float32), name)
        return name

    def integers(self, *values: int) -> str:
        """An int64 vector, shared by all who use the same one."""
        name = "integers_" + "_".join(map(str, values))
        self._initializers[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name

    def multiply_add(self, x: str, factor: float, summand: float) -> str:
        """x · factor + summand."""
        return self.node("Add", [self.node("Mul", [x, self.number(factor)]), self.number(summand)])

    def clip(self, x: str, low: float, high: float) -> str:
        """x limited to [low, high]."""
        return self.node("Clip", [x, self.number(low), self.number(high)])

    def rename(self, value: str, name: str) -> str:
        """Gives a value that a node made the name by which the world knows it."""
        for node in self._nodes:
            for names in (node.input, node.output):
                for place, other in enumerate(names):
                    if other == value:
                        names[place] = name
        return name

    def model(self, inputs: Dimensions, outputs: Dimensions) -> onnx.ModelProto:
        """The finished model; inputs and outputs are dimensions by name."""
        graph = helper.make_graph(
            self._nodes,
            "autoisp",
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="autoisp"
        )
        model.ir_version = IR_VERSION
        return model


def convolution(
    graph: GraphWriter, module: nn.Module, x: str, name: str, pads: list[int] | None = None
) -> str:
    """A convolution with its weights; ``pads`` (top, left, bottom, right) if not the module's own."""
    assert isinstance(module, nn.Conv2d)
    assert module.bias is not None
    weight = graph.tensor(f"{name}.weight", module.weight.detach().cpu().numpy())
    bias = graph.tensor(f"{name}.bias", module.bias.detach().cpu().numpy())
    return graph.node(
        "Conv",
        [x, weight, bias],
        kernel_shape=list(module.kernel_size),
        strides=list(module.stride),
        group=module.groups,
        pads=pads or [int(padding) for padding in module.padding] * 2,
    )


class Stabiliser:
    """The twin of :mod:`autoisp_isp.network.fixed` in ONNX; tests hold the two equal."""

    def __init__(self, graph: GraphWriter, noise: str) -> None:
        self._graph = graph
        shot, read = graph.nodes("Split", [noise], 2, axis=1, num_outputs=2)
        sigma = graph.node("Sqrt", [read])
        self._offset = graph.multiply_add(sigma, fixed.OFFSET_PER_READ_SIGMA, fixed.OFFSET_FLOOR)
        floor = graph.multiply_add(sigma, fixed.STRENGTH_PER_READ_SIGMA, fixed.STRENGTH_FLOOR)
        strength = graph.node("Add", [shot, floor])
        self._scale = graph.node("Div", [graph.number(fixed.STRENGTH_REFERENCE), strength])

    def stabilise(self, planes: str, gains: str, frames: int) -> str:
        """(N, 4·T, h, w) raw to stabilised planes."""
        graph = self._graph
        colours = graph.integers(*fixed.PLANE_TO_COLOUR * frames)
        per_plane = graph.node("Mul", [graph.node("Gather", [gains, colours], axis=1), self._scale])
        shift = graph.node("Mul", [self._offset, self._scale])
        axes = graph.integers(2, 3)
        scaled = graph.node("Mul", [planes, graph.node("Unsqueeze", [per_plane, axes])])
        shifted = graph.node("Add", [scaled, graph.node("Unsqueeze", [shift, axes])])
        return graph.node("Sqrt", [graph.node("Relu", [shifted])])

    def develop(self, stabilised: str, ccm: str) -> str:
        """(N, 3, P) stabilised colours to sRGB."""
        graph, axes = self._graph, self._graph.integers(2)
        inverse = graph.node("Reciprocal", [self._scale])
        back = graph.node("Sub", [graph.number(fixed.TONE_OFFSET), self._offset])
        squared = graph.node("Mul", [stabilised, stabilised])
        linear = graph.node("Mul", [squared, graph.node("Unsqueeze", [inverse, axes])])
        linear = graph.node("Add", [linear, graph.node("Unsqueeze", [back, axes])])
        low, high = fixed.TONE_OFFSET, 1 + fixed.TONE_OFFSET
        mixed = graph.clip(graph.node("MatMul", [ccm, graph.clip(linear, low, high)]), low, high)
        root = graph.node("Sqrt", [mixed])
        curve = graph.multiply_add(root, fixed.TONE[3], fixed.TONE[2])
        for coefficient in (fixed.TONE[1], fixed.TONE[0]):
            curve = graph.node("Add", [graph.node("Mul", [curve, root]), graph.number(coefficient)])
        return graph.clip(curve, 0.0, 1.0)

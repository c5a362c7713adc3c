"""Static quantisation: int8 weights per output channel, activations in 8 or 16 bits, QDQ form."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import QDQQuantizer, QuantType
from onnxruntime.quantization.calibrate import TensorData

from autoisp_isp.edge.calibration import Observed
from autoisp_isp.edge.region import learned_nodes, learned_weights

_OPSET, _IR_VERSION = 21, 10
"""The first with 16-bit steps in ONNX's own QuantizeLinear."""
_OUTPUT_SUFFIX = "_QuantizeLinear_Input"
"""What the quantiser appends to the name of a graph's output, such as a state, before it is quantised."""


class Quantiser:
    """Quantises one network in different ways.

    Args:
        model: float32, with a name for each node.

    Attributes:
        tensors: names of the activations that get steps of their own, in the graph's order.
        convolutions: names of the learned convolutions.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = onnx.shape_inference.infer_shapes(version_converter.convert_version(model, _OPSET))
        self._model.ir_version = max(_IR_VERSION, self._model.ir_version)
        nodes = self._model.graph.node
        self._quantised = [nodes[place].name for place in learned_nodes(self._model)]
        self.convolutions = [nodes[place].name for place in learned_weights(self._model)]

    @cached_property
    def observed(self) -> tuple[str, ...]:
        """Names of all tensors whose values must be known: what the quantised nodes take and make."""
        constants = {tensor.name for tensor in self._model.graph.initializer}
        nodes = [node for node in self._model.graph.node if node.name in set(self._quantised)]
        names = [name for node in nodes for name in (*node.input, *node.output) if name]
        return tuple(dict.fromkeys(name for name in names if name not in constants))

    def places(self, values: Mapping[str, Observed]) -> tuple[str, ...]:
        """Names of the activations that get steps of their own, in the graph's order."""
        quantised = self.quantised(values, wide=(), exact=())
        steps = [node for node in quantised.graph.node if node.op_type == "QuantizeLinear"]
        found = {node.input[0].removesuffix(_OUTPUT_SUFFIX) for node in steps}
        return tuple(name for name in self.observed if name in found)

    def quantised(
        self, values: Mapping[str, Observed], *, wide: Collection[str], exact: Collection[str]
    ) -> onnx.ModelProto:
        """The graph with int8 weights.

        Args:
            values: of the tensors that are `observed`.
            wide: activations that get 16 bits instead of 8.
            exact: convolutions whose weights get 16 bits. They can't stay float32: between quantised
                activations ONNX Runtime would quantise them itself, and worse.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        weights = [node.input[1] for node in model.graph.node if node.name in set(exact)]
        with _quiet():
            quantiser = QDQQuantizer(
                model,
                per_channel=True,
                reduce_range=False,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range={
                    name: _range(one.wide if name in wide else one.narrow) for name, one in values.items()
                },
                nodes_to_quantize=self._quantised,
                nodes_to_exclude=[],
                op_types_to_quantize=sorted({node.op_type for node in model.graph.node}),
                extra_options={
                    "TensorQuantOverrides": {name: [{"quant_type": QuantType.QUInt16}] for name in wide}
                    | {name: [{"quant_type": QuantType.QInt16, "axis": 0}] for name in weights}
                },
            )
            quantiser.quantize_model()
            quantiser.model.topological_sort()
        result: onnx.ModelProto = quantiser.model.model
        del result.graph.value_info[:]
        return result


def _range(ends: tuple[float, float]) -> TensorData:
    lowest, highest = ends
    return TensorData(lowest=np.float32(lowest), highest=np.float32(highest))


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser warns, on the root logger, of what is meant to be so."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

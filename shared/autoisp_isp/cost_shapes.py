"""The shape of every value of an ONNX graph, from running it.

Shape inference gives up at computed shapes, a run never does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from autoisp_core.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Extent:
    """Shape and size of one value."""

    shape: tuple[int, ...]
    nbytes: int

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


def extents(
    model: onnx.ModelProto, inputs: Mapping[str, npt.NDArray[np.float32]], *, field: str
) -> dict[str, Extent]:
    """The extent of every value: inputs, weights (without bytes) and what nodes make.

    Args:
        model: without functions of its own; runs once, unoptimised.
        inputs: what it is fed with, by name.
        field: what errors name.

    Raises:
        InvalidArgumentError: it doesn't run.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name and name not in known]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        outputs = [output.name for output in session.get_outputs()]
        values = dict(zip(outputs, session.run(outputs, dict(inputs)), strict=True))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        reason = " ".join(str(error).split())[:200]
        raise InvalidArgumentError(field, f"ONNX Runtime can't run the model: {reason}") from error
    made = {
        name: Extent(value.shape, value.nbytes)
        for name, value in (values | dict(inputs)).items()
        if isinstance(value, np.ndarray)
    }
    for tensor in model.graph.initializer:
        made[tensor.name] = Extent(tuple(tensor.dims), 0)
    return made

"""A tensor inside of an ONNX prototype, read out while the prototype runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.contract import check_contract, parse_onnx
from autoisp_isp.runtime_session import OnnxNetwork, open_session

Array = npt.NDArray[np.float32]

FIELD = "search.training.feature_distillation.tensor"
REASON = "NO_FEATURES"
_FEATURE_DIMENSIONS = 4


class TappedNetwork(OnnxNetwork):
    """A graph of the model contract that also keeps one of its inner tensors, of the frame it ran last.

    For one thread.

    Args:
        model: serialised ONNX of the model contract.
        tensor: name of a float tensor (N, C, h, w) that a node of the graph gives.
        threads: that it may use.

    Attributes:
        features: (C, h, w), once the network has run.

    Raises:
        InvalidArgumentError: no graph of the contract, or no such tensor in it.
    """

    def __init__(self, model: bytes, tensor: str, threads: int = 1) -> None:
        parsed = parse_onnx(model)
        super().__init__(check_contract(parsed), open_session(_tapped(parsed, tensor), threads), threads)
        self._tensor = tensor
        self.features: Array = np.zeros((0, 1, 1), np.float32)

    def step(self, inputs: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """See :meth:`OnnxNetwork.step`.

        Raises:
            InvalidArgumentError: the tensor has another shape or type than features have.
        """
        given = {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}
        srgb, *carried, features = self._session.run([*self._outputs, self._tensor], given)
        if features.ndim != _FEATURE_DIMENSIONS or features.dtype != np.float32:
            raise InvalidArgumentError(
                FIELD,
                f"{self._tensor!r} is {features.dtype} of {features.ndim} dimensions; name a float32 tensor "
                "(N, C, h, w)",
                reason=REASON,
            )
        self.features = features[0]
        return srgb, self._next(carried)

    def skip(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """See :meth:`OnnxNetwork.skip`."""
        return self.step(inputs)[1]


def _tapped(model: onnx.ModelProto, tensor: str) -> bytes:
    """The graph with one output more."""
    names = [name for node in model.graph.node for name in node.output if name]
    if tensor not in names:
        near = difflib.get_close_matches(tensor, names, n=3, cutoff=0.3) or names[-3:]
        raise InvalidArgumentError(
            FIELD,
            f"the prototype has no tensor {tensor!r} inside; it has {', '.join(near)} and others",
            reason=REASON,
        )
    part = onnx.ModelProto()
    part.CopyFrom(model)
    if tensor not in {value.name for value in part.graph.output}:
        # Without a shape: ONNX Runtime knows it, and checks nothing of what it is told.
        part.graph.output.append(onnx.ValueInfoProto(name=tensor))
    return part.SerializeToString()

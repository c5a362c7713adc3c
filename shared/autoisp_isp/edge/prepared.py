"""A graph made ready to be rewritten: one level, every node with a name of its own."""

from __future__ import annotations

import onnx
import onnx.inliner
from autoisp_core.errors import FailedPreconditionError

from autoisp_isp.contract import check_contract, parse_onnx
from autoisp_isp.cost_operators import INNER_GRAPHS


def prepared(data: bytes) -> onnx.ModelProto:
    """Reads a graph of the model contract.

    Raises:
        InvalidArgumentError: it is none.
        FailedPreconditionError: reason NOT_CONVERTIBLE, it has graphs inside of nodes.
    """
    model = onnx.inliner.inline_local_functions(parse_onnx(data, field="model"))
    check_contract(model, field="model")
    names: set[str] = set()
    for place, node in enumerate(model.graph.node):
        if node.op_type in INNER_GRAPHS:
            raise FailedPreconditionError(
                f"operator {node.op_type} ({node.name!r}) has a graph of its own, which can't be converted; "
                "export the network without it",
                reason="NOT_CONVERTIBLE",
            )
        if not node.name or node.name in names:
            node.name = f"{node.op_type.lower()}_at_{place}"
        names.add(node.name)
    return model

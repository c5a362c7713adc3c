"""What a file must keep to be registered."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import onnx
import pytest
from autoisp_registry.graph_check import rules
from autoisp_testing.graphs import outside, root_of
from onnx import TensorProto, helper


def model() -> onnx.ModelProto:
    return onnx.ModelProto.FromString(root_of(1.0))


def test_a_network_of_the_contract_is_good() -> None:
    assert rules.problem_of(root_of(1.0)) == ""
    more = model()
    for name in ("gains", "ccm", "noise", "state", "state_2"):
        more.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]))
    more.graph.node.append(helper.make_node("Identity", ["state"], ["state_out"]))
    more.graph.output.append(helper.make_tensor_value_info("state_out", TensorProto.FLOAT, ["N", 3]))
    assert rules.problem_of(more.SerializeToString()) == ""


@pytest.mark.parametrize("cut", [1, 100])
def test_half_a_file_is_no_network(cut: int) -> None:
    assert "no ONNX model" in rules.problem_of(root_of(1.0)[:-cut])
    assert rules.problem_of(b"") == "it holds no graph; export the network again"
    assert "no ONNX model" in rules.problem_of(b"PK\x03\x04 a zip, perhaps")


@pytest.mark.parametrize("inside", ["graph", "node", "loop", "function"])
def test_weights_outside_are_named_with_their_path(inside: str) -> None:
    problem = rules.problem_of(outside("../../etc/passwd", inside))
    assert "'../../etc/passwd'" in problem
    assert "outside" in problem


def _input(graph: onnx.GraphProto) -> None:
    graph.input[0].name = "picture"


def _output(graph: onnx.GraphProto) -> None:
    graph.output[0].name = "rgb"


def _strange(graph: onnx.GraphProto) -> None:
    graph.input.append(helper.make_tensor_value_info("iso", TensorProto.FLOAT, ["N"]))


def _integer(graph: onnx.GraphProto) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT16


def _flat(graph: onnx.GraphProto) -> None:
    del graph.input[0].type.tensor_type.shape.dim[1:]


def _huge(graph: onnx.GraphProto) -> None:
    weight = next(t for t in graph.initializer if t.raw_data)
    del weight.dims[:]
    weight.dims.extend([2**40, 2**40])


def _deep(graph: onnx.GraphProto) -> None:
    graph.initializer[0].dims.extend([1] * 100)


def _negative(graph: onnx.GraphProto) -> None:
    del graph.initializer[0].dims[:]
    graph.initializer[0].dims.append(-1)


def _operator(graph: onnx.GraphProto) -> None:
    graph.node[0].op_type = "NoSuchOperator"


def _unsorted(graph: onnx.GraphProto) -> None:
    graph.node[0].input[0] = "srgb"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_input, "no input 'raw'; its inputs are picture"),
        (_output, "no output 'srgb'; its outputs are rgb"),
        (_strange, "'iso' is no input of the model contract"),
        (_integer, "'raw' is not float32"),
        (_flat, "'raw' has 1 dimensions, not 4 or 5"),
        (_huge, "claims to be"),
        (_deep, "dimensions, more than 16"),
        (_negative, "negative size"),
        (_operator, "the ONNX checker says"),
        (_unsorted, "the ONNX checker says"),
    ],
)
def test_what_is_wrong_is_said(change: Callable[[onnx.GraphProto], None], said: str) -> None:
    changed = model()
    change(changed.graph)
    assert said in rules.problem_of(changed.SerializeToString())


def test_too_many_nodes_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_NODES", 2)
    assert rules.problem_of(root_of(1.0)) == "it has 3 nodes, more than 2"


def test_the_registry_itself_never_loads_onnx() -> None:
    code = "import sys, autoisp_registry.__main__; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Counting graphs of any kind, and telling what makes their kernels from what works on the picture."""

import numpy as np
import onnx
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_isp.cost_graph import GraphMacs, computed_kernels, count_macs
from onnx import TensorProto, helper, numpy_helper


def model(
    nodes: list[onnx.NodeProto], size: tuple[int | str, ...] = (1, 4, 8, 8), **constants: np.ndarray
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "any",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("a", "b", "c", "d"))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(made.SerializeToString())


def dynamic(size: tuple[int | str, ...] = (1, 4, 8, 8), bank: int = 3) -> bytes:
    """A static 3×3 convolution, then a pointwise one to 2 channels with kernels mixed from a bank."""
    nodes = [
        helper.make_node("Conv", ["x", "static"], ["features"], pads=[1] * 4, name="first"),
        helper.make_node("GlobalAveragePool", ["features"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "mix"], ["eta"], transB=1),
        helper.make_node("Reshape", ["eta", "columns"], ["column"]),
        helper.make_node("MatMul", ["bank", "column"], ["mixed"]),
        helper.make_node("Reshape", ["mixed", "kernel"], ["kernels"]),
        helper.make_node("Conv", ["features", "kernels"], ["y"], name="second"),
    ]
    parsed = onnx.load_model_from_string(
        model(
            nodes,
            size,
            static=np.ones((4, 4, 3, 3)),
            mix=np.ones((2 * bank, 4)),
            bank=np.ones((2, 4, bank)),
        )
    )
    for name, shape in (("columns", [2, bank, 1]), ("kernel", [2, 4, 1, 1])):
        parsed.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
    return bytes(parsed.SerializeToString())


def test_counts_the_picture_and_the_kernels_apart() -> None:
    counted = count_macs(dynamic())
    assert counted == GraphMacs(network=64 * (4 * 4 * 9 + 4 * 2), kernels=4 * 2 * 3 + 2 * 4 * 3)
    assert counted.total == counted.network + counted.kernels


def test_kernels_cost_the_same_at_every_size_and_the_network_at_every_bank() -> None:
    small, large = count_macs(dynamic()), count_macs(dynamic((1, 4, 16, 16)))
    assert (large.network, large.kernels) == (4 * small.network, small.kernels)
    wide = count_macs(dynamic(bank=6))
    assert (wide.network, wide.kernels) == (small.network, 2 * small.kernels)


def test_names_convolutions_with_kernels_made_at_run_time() -> None:
    assert computed_kernels(onnx.load_model_from_string(dynamic())) == ("second",)


def test_open_sizes_are_to_be_given() -> None:
    free = dynamic(("n", 4, "h", "w"))
    with pytest.raises(
        InvalidArgumentError, match=r"'x' has no fixed size \(0, 4, 0, 0\); give it in 'sizes'"
    ):
        count_macs(free)
    assert count_macs(free, {"x": (1, 4, 8, 8)}) == count_macs(dynamic())


def test_names_what_it_cannot_count_or_run() -> None:
    recurrent = helper.make_node("LSTM", ["x", "w", "w"], ["", "y"], hidden_size=1)
    with pytest.raises(InvalidArgumentError, match=r"operator LSTM .* replace it") as caught:
        count_macs(model([recurrent], (1, 1, 1), w=np.ones((1, 4, 1))), field="network")
    assert caught.value.field == "network"
    with pytest.raises(InvalidArgumentError, match="can't run the model"):
        count_macs(dynamic(("n", 4, "h", "w")), {"x": (1, 5, 8, 8)})

"""Counting any ONNX graph, and refusing those that aren't prototypes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import FRAME_PIXELS, Spec
from autoisp_isp.contract import check_contract
from autoisp_isp.cost import count_cost
from autoisp_isp.cost_operators import multiply_accumulates
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.runtime_session import load_session, measure_latency
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]
PICTURE: Shape = (1, 3, "H", "W")


def weights(*shape: int) -> np.ndarray:
    return np.full(shape, 0.01, np.float32)


def graph(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Shape],
    constants: dict[str, np.ndarray],
    output: str = "srgb",
    kind: int = TensorProto.FLOAT,
    opset: int = 18,
) -> bytes:
    made = helper.make_graph(
        nodes,
        "prototype",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, PICTURE)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return bytes(model.SerializeToString())


def prototype(raw: Shape = (1, 4, "h", "w"), others: dict[str, Shape] | None = None, **options: Any) -> bytes:
    """A 5 × 5 convolution, then depth-to-space: 300 MAC per pixel."""
    nodes = [
        helper.make_node("Conv", ["raw", "weight"], ["cells"], pads=[2] * 4),
        helper.make_node("DepthToSpace", ["cells"], [options.get("output", "srgb")], blocksize=2),
    ]
    return graph(nodes, {"raw": raw, **(others or {})}, {"weight": weights(12, 4, 5, 5)}, **options)


def test_counts_convolutions_per_output_pixel() -> None:
    model = prototype()
    counted = count_cost(model)
    assert counted.macs_per_pixel == 12 * 4 * 25 / 4
    assert counted.parameters == 1200
    assert counted.bytes_per_pixel == 4 * (12 / 4 + 3)
    assert counted.file_bytes == len(model)
    assert count_cost(model, height=32, width=128) == counted


def test_counts_transposed_convolutions_and_matrix_products() -> None:
    nodes = [
        helper.make_node("ConvTranspose", ["raw", "up"], ["rgb"], strides=[2, 2]),
        helper.make_node("Transpose", ["rgb"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["last", "matrix"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Einsum", ["first", "matrix"], ["srgb"], equation="nchw,dc->ndhw"),
    ]
    constants = {"up": weights(4, 3, 2, 2), "matrix": weights(3, 3)}
    counted = count_cost(graph(nodes, {"raw": (1, 4, "h", "w")}, constants))
    assert counted.macs_per_pixel == 4 * 3 + 9 + 9


def test_what_is_done_once_per_frame_is_shared_out_over_a_megapixel() -> None:
    """Squeeze and excitation: means over the frame, a convolution of these, and a product."""
    nodes = [
        helper.make_node("Conv", ["raw", "weight"], ["cells"], pads=[2] * 4),
        helper.make_node("GlobalAveragePool", ["cells"], ["means"]),
        helper.make_node("Conv", ["means", "squeeze"], ["gate"]),
        helper.make_node("Mul", ["cells", "gate"], ["gated"]),
        helper.make_node("DepthToSpace", ["gated"], ["srgb"], blocksize=2),
    ]
    constants = {"weight": weights(12, 4, 5, 5), "squeeze": weights(12, 12, 1, 1)}
    model = graph(nodes, {"raw": (1, 4, "h", "w")}, constants)
    assert count_cost(model).macs_per_pixel == 12 * 4 * 25 / 4 + 12 * 12 / FRAME_PIXELS
    assert count_cost(model, height=32, width=128) == count_cost(model)


class Values(dict[str, Any]):
    """Shapes by name."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        super().__init__({name: np.empty(shape) for name, shape in shapes.items()})


@pytest.mark.parametrize(
    ("node", "shapes", "macs"),
    [
        (helper.make_node("Gemm", ["a", "b"], ["y"]), {"a": (5, 7), "y": (5, 2)}, 70),
        (helper.make_node("Gemm", ["a", "b"], ["y"], transA=1), {"a": (7, 5), "y": (5, 2)}, 70),
        (helper.make_node("MatMul", ["a", "b"], ["y"]), {"a": (2, 5, 7), "y": (2, 5, 3)}, 210),
        (
            helper.make_node("Conv", ["x", "w"], ["y"], group=4),
            {"w": (8, 1, 3, 3), "y": (1, 8, 6, 6)},
            8 * 36 * 9,
        ),
        (
            helper.make_node("Einsum", ["a", "b"], ["y"], equation="...ij,...jk->...ik"),
            {"a": (6, 2, 3), "b": (6, 3, 4)},
            6 * 2 * 3 * 4,
        ),
        (helper.make_node("Relu", ["a"], ["y"]), {"a": (5, 7), "y": (5, 7)}, 0),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else None,
)
def test_rules_of_single_operators(
    node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], macs: int
) -> None:
    assert multiply_accumulates(node, Values(**shapes)) == macs


def test_refuses_to_guess_what_it_cannot_count() -> None:
    node = helper.make_node("DeformConv", ["raw", "weight", "raw"], ["srgb"])
    with pytest.raises(InvalidArgumentError, match=r"DeformConv.*--budget-macs"):
        count_cost(graph([node], {"raw": (1, 4, "h", "w")}, {"weight": weights(3, 4, 1, 1)}, opset=19))


def test_reads_the_contract() -> None:
    contract = check_contract(prototype((1, 4, "h", "w"), {"noise": (1, 2), "gains": (1, 3)}))
    assert (contract.frames, contract.stacked) == (1, False)
    assert contract.inputs == ("raw", "noise", "gains")
    spec = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 16, frames=5)
    stacked = check_contract(export_onnx(build(spec), {"sensor": "phone"}))
    assert (stacked.frames, stacked.stacked) == (5, True)
    assert stacked.metadata["sensor"] == "phone"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (b"this is a text file\n", "not a valid ONNX model"),
        (b"", "not a valid ONNX model"),
        (prototype()[:300], "not a valid ONNX model"),
        (prototype(others={"image": (1, 3, "h", "w")}), "input 'image' is not in the contract"),
        (
            prototype(others={"state": (1, 3, "h", "w")}),
            "input 'state' has no output 'state_out'",
        ),
        (prototype(others={"gains": (1, 4)}), r"input 'gains' is FLOAT \(1, 4\)"),
        (prototype(others={"ccm": (1, 9)}), r"input 'ccm' is FLOAT \(1, 9\)"),
        (prototype(("N", 3, "h", "w")), r"input 'raw' is FLOAT \(\?, 3, \?, \?\)"),
        (prototype(("h", "w")), r"input 'raw' is FLOAT \(\?, \?\)"),
        (prototype((1, "T", 4, "h", "w")), "no fixed T"),
        (prototype((1, 4, 540, "w")), "fixed size 540"),
        (prototype(kind=TensorProto.FLOAT16), "input 'raw' is FLOAT16"),
        (prototype(output="image"), "output 'image' is not in the contract"),
    ],
)
def test_refuses_what_is_no_prototype_and_names_the_culprit(model: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        check_contract(model, field="--prototype")
    assert caught.value.field == "--prototype"


def test_refuses_a_model_without_raw() -> None:
    node = helper.make_node("Identity", ["image"], ["srgb"])
    with pytest.raises(InvalidArgumentError, match="input 'image' is not in the contract"):
        check_contract(graph([node], {"image": (1, 3, "h", "w")}, {}))
    with pytest.raises(InvalidArgumentError, match="no input 'raw'"):
        check_contract(graph([helper.make_node("Identity", ["gains"], ["srgb"])], {"gains": (1, 3)}, {}))


def test_refuses_a_model_that_gives_another_size() -> None:
    node = helper.make_node("Conv", ["raw", "weight"], ["srgb"])
    model = graph([node], {"raw": (1, 4, "h", "w")}, {"weight": weights(3, 4, 1, 1)})
    with pytest.raises(InvalidArgumentError, match="twice that size"):
        count_cost(model)


def test_a_session_gets_the_newest_frames_and_only_the_inputs_it_has() -> None:
    network = load_session(prototype((1, 4, "h", "w"), {"noise": (1, 2)}))
    rng = np.random.default_rng(0)
    window = rng.random((3, 4, 6, 10), np.float32)
    gains, ccm, noise = np.ones(3, np.float32), np.eye(3, dtype=np.float32), np.zeros(2, np.float32)
    srgb = network.run(window, gains, ccm, noise)
    assert srgb.shape == (3, 12, 20)
    np.testing.assert_array_equal(srgb, network.run(window[-1:], gains, ccm, noise))


def test_a_session_refuses_too_few_frames() -> None:
    spec = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 16, frames=3)
    network = load_session(export_onnx(build(spec)))
    with pytest.raises(InvalidArgumentError, match="takes 3 frames, not 1"):
        network.run(np.zeros((1, 4, 6, 8), np.float32), np.ones(3), np.eye(3), np.zeros(2))


def test_latency_is_per_megapixel_with_stated_threads() -> None:
    latency = measure_latency(load_session(prototype(), threads=1), 64, 96, repeats=3)
    assert latency.seconds_per_megapixel > 0
    assert latency.spread >= 0
    assert (latency.threads, latency.repeats) == (1, 3)
    assert measure_latency(load_session(prototype()), 64, 96, repeats=1).spread == 0

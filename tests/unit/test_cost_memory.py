"""The peak of living feature maps, on graphs that can be counted by hand."""

import pytest
from autoisp_isp.cost import count_cost
from autoisp_isp.cost_memory import peak_bytes
from autoisp_isp.cost_shapes import Extent
from autoisp_testing.graphs import root_of
from onnx import NodeProto, helper


def node(kind: str, inputs: str, output: str) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output])


def sizes(**planes: int) -> dict[str, Extent]:
    """Values of so many bytes each."""
    return {name: Extent((1, size // 16, 2, 2), size) for name, size in planes.items()}


_SIZES = {"x": 16, "a": 160, "b": 320, "y": 48, "q": 40, "c": 160}


@pytest.mark.parametrize(
    ("nodes", "peak"),
    [
        # a chain: what is read and what is written
        ([node("Conv", "x w", "a"), node("Conv", "a w", "b"), node("Conv", "b w", "y")], 160 + 320),
        # x is needed until the end
        ([node("Conv", "x w", "a"), node("Conv", "a w", "b"), node("Add", "b x", "y")], 16 + 160 + 320),
        # a goes in place, so b is no memory of its own, and lives on in it
        ([node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Conv", "b w", "y")], 160 + 48),
        # a is read again later, so b can't take its place
        ([node("Conv", "x w", "a"), node("Relu", "a", "b"), node("Add", "a b", "y")], 160 + 320 + 48),
        # nor that of what shares a
        (
            [
                node("Conv", "x w", "a"),
                node("Identity", "a", "c"),
                node("Relu", "a", "b"),
                node("Add", "b c", "y"),
            ],
            160 + 320 + 48,
        ),
        # nor that of a frame that came from outside
        ([node("Relu", "x", "a"), node("Conv", "a w", "y")], 160 + 48),
        # the shape of a is no part of it: a goes when b is made
        (
            [
                node("Conv", "x w", "a"),
                node("Shape", "a", "s"),
                node("Conv", "a w", "b"),
                node("Resize", "b e e s", "y"),
            ],
            160 + 320,
        ),
        # a is written as b, which is quantised, and c is how the next operator reads it
        (
            [
                node("Conv", "x w", "a"),
                node("QuantizeLinear", "a s z", "q"),
                node("DequantizeLinear", "q s z", "c"),
                node("Conv", "c w", "b"),
            ],
            40 + 320,
        ),
        # nobody reads a, and it is there all the same while it is made
        ([node("Conv", "x w", "b"), node("Conv", "x w", "a"), node("Conv", "b w", "y")], 16 + 320 + 160),
    ],
)
def test_values_live_from_their_maker_to_their_last_reader(nodes: list[NodeProto], peak: int) -> None:
    values = sizes(**_SIZES) | {"w": Extent((4, 4, 3, 3), 0), "s": Extent((4,), 32)}

    assert peak_bytes(nodes, values, ["x"], ["y"]) == peak


def test_outputs_stay_until_the_end() -> None:
    nodes = [node("Conv", "x w", "state_out"), node("Conv", "x w", "a"), node("Conv", "a w", "y")]

    assert peak_bytes(nodes, sizes(x=16, state_out=64, a=32, y=48), ["x"], ["y", "state_out"]) == 64 + 32 + 48


def test_a_cost_has_it_per_pixel() -> None:
    # raw 4 values for each 4 pixels, three planes of them, enlarged to 3 values a pixel, and the product
    counted = count_cost(root_of(1.0))

    assert counted.peak_activation_bytes_per_pixel == 4 * (3 + 3)

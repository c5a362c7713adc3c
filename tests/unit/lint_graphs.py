"""Small graphs for the lint, written by hand."""

from autoisp_core.lint import Accelerator, Conditions, Graph, Node, Severity, Tensor

PIXELS = 512 * 512
MAP = (1, 16, 64, 64)


def device(*operators, **changes):
    """An NPU with these operators, without conditions, besides Conv and Relu."""
    given = {
        "name": "test",
        "title": "test",
        "operators": {name: Conditions() for name in ("Conv", "Relu", *operators)},
        "precisions": ("float32", "float16", "w8a16", "w8a8"),
        "unsupported": Severity.ERROR,
    }
    return Accelerator(**{**given, **changes})


def graph(*nodes, tensors=None, **changes):
    """Nodes in a row from "x" to "y", both (1, 16, 64, 64) float32; unnamed tensors are like these."""
    known = {"x": Tensor(MAP, "float32"), "w": Tensor((16, 16, 3, 3), "float32", constant=True)}
    for node in nodes:
        known |= {name: Tensor(MAP, "float32") for name in node.outputs}
    given = {"inputs": ("x",), "outputs": ("y",), "pixels": PIXELS, "opset": 18}
    return Graph(nodes, known | (tensors or {}), **{**given, **changes})


def node(operator, inputs, output, name="", **attributes):
    """A node with one output."""
    return Node(
        name or f"{operator.lower()}_{output}",
        operator,
        tuple(inputs.split()),
        (output,),
        attributes=attributes,
    )


def convolution(inputs="x w", output="y", **attributes):
    return node("Conv", inputs, output, **attributes)

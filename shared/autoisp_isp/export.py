"""From a trained network to ONNX, written node by node: no tracing, nothing superfluous, milliseconds."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
from autoisp_core.spec import Layer, LayerType, Spec, has_coarse, has_dynamic, loose_ends
from torch import nn

from autoisp_isp.export_dynamic import (
    CoefficientSource,
    coefficients,
    dynamic_convolution,
    one_frame,
)
from autoisp_isp.export_graph import Dimensions, GraphWriter, Stabiliser, convolution
from autoisp_isp.export_picture import picture
from autoisp_isp.export_state import fuse, state_inputs, state_outputs
from autoisp_isp.network import PixelNetwork
from autoisp_isp.network.block import FUSE, Block, has_activation, layer_name

SPEC_KEY = "autoisp.spec"
"""Key of the spec's JSON in the model's ``metadata_props``."""

_BAYER_PLANES = 4


def export_onnx(
    network: PixelNetwork,
    metadata: Mapping[str, str] | None = None,
    *,
    coefficient_source: CoefficientSource | None = None,
) -> bytes:
    """The network as a self-contained ONNX file that obeys the model contract.

    Args:
        network: trained or not, on any device; stays as it is.
        metadata: further ``metadata_props``; the spec's JSON is added under :data:`SPEC_KEY`.
        coefficient_source: where dynamic convolutions take their coefficients from; None: from the frame
            that they are used for.

    Returns:
        The serialised model: inputs ``raw``, ``gains``, ``ccm``, ``noise``, output ``srgb``; N, h and w are
        dynamic, but N is 1 where kernels are made from the frame. A recurrent network has the inputs and
        outputs of :mod:`autoisp_isp.export_state` besides.
    """
    spec, graph = network.spec, GraphWriter()
    frames: list[int | str] = [] if spec.frames == 1 else [spec.frames]
    source = coefficient_source or CoefficientSource()
    stabiliser = Stabiliser(graph, "noise")
    planes = _planes(graph, spec)
    if has_coarse(spec.block) and not spec.recurrent:
        planes = _padded(graph, planes, spec.packing)
    z = stabiliser.stabilise(planes, "gains", spec.frames)
    features = graph.node("Relu", [_stem(graph, network.stem, z)])
    if network.fusion is not None:
        features = fuse(graph, network.fusion, features)
        features = _padded(graph, features, 2) if has_coarse(spec.block) else features
    for index, block in enumerate(network.blocks):
        assert isinstance(block, Block)
        given = coefficients(graph, spec, block, index, features, source)
        features = _block(graph, spec, block, features, given, f"blocks.{index}")
    cells = convolution(graph, network.head, features, "head")
    graph.rename(picture(graph, spec, stabiliser, cells, z), "srgb")
    inputs: Dimensions = {
        "raw": ["N", *frames, _BAYER_PLANES, "h", "w"],
        "gains": ["N", 3],
        "ccm": ["N", 3, 3],
        "noise": ["N", 2],
    }
    outputs: Dimensions = {"srgb": ["N", 3, "2h", "2w"]}
    if spec.recurrent:
        inputs |= state_inputs(spec)
        outputs |= state_outputs(spec)
    if has_dynamic(spec.block):
        inputs, outputs = one_frame(inputs | source.inputs), one_frame(outputs | source.outputs)
    model = graph.model(inputs, outputs)
    onnx.helper.set_model_props(model, {**(metadata or {}), SPEC_KEY: spec.to_json()})
    serialised: bytes = model.SerializeToString()
    return serialised


def _planes(graph: GraphWriter, spec: Spec) -> str:
    """The frames of the window side by side: (N, T, 4, h, w) to (N, 4·T, h, w)."""
    if spec.frames == 1:
        return "raw"
    batch = graph.node("Shape", ["raw"], start=0, end=1)
    size = graph.node("Shape", ["raw"], start=3, end=5)
    shape = graph.node("Concat", [batch, graph.integers(_BAYER_PLANES * spec.frames), size], axis=0)
    return graph.node("Reshape", ["raw", shape])


def _padded(graph: GraphWriter, planes: str, multiple: int) -> str:
    """Repeats the last row and column until h and w are multiples, so that features have even sizes."""
    size, many = graph.node("Shape", [planes], start=2), graph.integers(multiple)
    over = graph.node("Mod", [size, many])
    missing = graph.node("Mod", [graph.node("Sub", [many, over]), many])
    pads = graph.node("Concat", [graph.integers(0, 0, 0, 0, 0, 0), missing], axis=0)
    return graph.node("Pad", [planes, pads], mode="edge")


def _stem(graph: GraphWriter, stem: nn.Conv2d, x: str) -> str:
    """The strided stem; its padding covers the last row and column of odd sizes."""
    (top, left), stride = (int(stem.padding[0]), int(stem.padding[1])), stem.stride[0]
    pads = [top, left, top + stride - 1, left + stride - 1]
    return convolution(graph, stem, x, "stem", pads)


def _block(graph: GraphWriter, spec: Spec, block: Block, x: str, given: Mapping[int, str], name: str) -> str:
    values, ends = {0: x}, loose_ends(spec.block)
    for layer in spec.block[:-1]:
        inputs = [values[pred] for pred in layer.predecessors]
        inputs += [given[layer.index]] if layer.index in given else []
        result = _layer(graph, block, layer, inputs, name)
        activated = has_activation(layer, ends)
        result = graph.node("Relu", [result]) if activated else result
        values[layer.index] = _doubled(graph, result) if layer.type == LayerType.COARSE else result
    joined = values[ends[0]]
    if len(ends) > 1:
        stacked = graph.node("Concat", [values[index] for index in ends], axis=1)
        joined = convolution(graph, block.get_submodule(FUSE), stacked, f"{name}.{FUSE}")
    return graph.node("Relu", [graph.node("Add", [x, joined])])


def _doubled(graph: GraphWriter, x: str) -> str:
    """Twice the height and width, each value four times."""
    modes = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.node("Resize", [x, "", graph.numbers(1, 1, 2, 2)], **modes)


def _layer(graph: GraphWriter, block: Block, layer: Layer, inputs: list[str], name: str) -> str:
    own = layer_name(layer)
    pool = {"kernel_shape": [layer.kernel] * 2, "pads": [layer.kernel // 2] * 4}
    match layer.type:
        case LayerType.CONV | LayerType.DEPTHWISE | LayerType.GROUPED:
            return convolution(graph, block.get_submodule(own), inputs[0], f"{name}.{own}")
        case LayerType.DYNAMIC:
            return dynamic_convolution(graph, block.get_submodule(own), inputs, f"{name}.{own}")
        case LayerType.CONCAT:
            stacked = graph.node("Concat", inputs, axis=1)
            return convolution(graph, block.get_submodule(own), stacked, f"{name}.{own}")
        case LayerType.COARSE:
            mean = graph.node("AveragePool", inputs, kernel_shape=[2, 2], strides=[2, 2])
            return convolution(graph, block.get_submodule(own), mean, f"{name}.{own}")
        case LayerType.MAX_POOL:
            return graph.node("MaxPool", inputs, **pool)
        case LayerType.AVG_POOL:
            return graph.node("AveragePool", inputs, **pool)
        case LayerType.ADD:
            return graph.node("Add", inputs)
        case LayerType.GATE:
            return graph.node("Mul", [inputs[0], graph.node("Sigmoid", [inputs[1]])])
        case _:
            return inputs[0]

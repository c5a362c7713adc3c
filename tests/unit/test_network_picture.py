"""The fixed demosaic and the predicted kernels."""

import math
from dataclasses import replace

import onnx
import pytest
import torch
from autoisp_core.spec import LayerType, Spec, cost, groups_of
from autoisp_isp.cost import count_cost
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.network.demosaic import Demosaic
from autoisp_isp.network.picture import filtered
from autoisp_isp.raw import mosaic_of
from torch import Tensor

PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 16)


def test_the_demosaic_shifts_no_colour() -> None:
    rows, columns = torch.linspace(0.1, 0.4, 10), torch.linspace(0.1, 0.5, 12)
    ramp = (rows[:, None] + columns[None]) * torch.tensor([0.5, 1.0, 0.6])[:, None, None]
    again = Demosaic()(mosaic_of(ramp)[None])[0]
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert torch.allclose(again[inner], ramp[inner], atol=1e-6)


def test_the_demosaic_weighs_by_distance_and_repeats_the_border() -> None:
    planes = torch.rand(1, 4, 5, 6)
    red, green, blue = Demosaic()(planes)[0]
    # Half way between two samples in a row, rows above and below being two pixels away.
    near, far = 1.0, math.exp(-2.0)
    pairs = planes[0, 0, 0:3, 1:3].mean(1) @ torch.tensor([far, near, far]) / (near + 2 * far)
    assert red[2, 3] == pytest.approx(float(pairs))
    assert red[3, 3] == pytest.approx(float(planes[0, 0, 1:3, 1:3].mean()))
    assert blue[0, 0] == planes[0, 3, 0, 0]
    assert float(green.std()) < float(planes[0, 1:3].std())


def test_the_demosaic_mixes_no_colours() -> None:
    for colour, own in enumerate(((0,), (1, 2), (3,))):
        planes = torch.zeros(1, 4, 3, 3)
        planes[:, list(own)] = 1.0
        developed = Demosaic()(planes)[0]
        assert torch.allclose(developed[colour], torch.tensor(1.0))
        assert float(developed.sum()) == pytest.approx(36)


def test_a_flat_picture_stays_flat() -> None:
    assert torch.allclose(Demosaic()(torch.full((1, 4, 3, 3), 0.3)), torch.tensor(0.3))


def convolved(picture: Tensor, kernel: Tensor) -> Tensor:
    """The same kernel everywhere, by a convolution."""
    padded = torch.nn.functional.pad(picture, (1, 1, 1, 1), "replicate")
    return torch.nn.functional.conv2d(padded, kernel.expand(3, 1, 3, 3), groups=3)


def test_kernels_are_applied_as_a_convolution_would() -> None:
    picture, kernel = torch.rand(2, 3, 6, 8), torch.rand(3, 3)
    everywhere = kernel.reshape(1, 9, 1, 1).expand(2, 9, 6, 8)
    assert torch.allclose(filtered(picture, everywhere), convolved(picture, kernel), atol=1e-6)
    mixed = everywhere.clone()
    mixed[..., 4:] = 0.0
    assert torch.equal(filtered(picture, mixed)[..., 4:], torch.zeros(2, 3, 6, 4))


@pytest.mark.parametrize("packing", [2, 4])
def test_what_the_head_and_the_demosaic_cost(packing: int) -> None:
    spec = replace(PLAIN, packing=packing, head_kernel=1)
    alone = cost(spec).macs_per_pixel
    # The head gives each output pixel 9 weights instead of 3 colours; each weight is used for 3 colours.
    assert cost(replace(spec, residual=1)).macs_per_pixel - alone == 36
    assert cost(replace(spec, head=1)).macs_per_pixel - alone == 36 + 16 * (9 - 3) + 9 * 3
    for switches in ({"residual": 1}, {"head": 1}, {"residual": 1, "head": 1}):
        changed = replace(spec, **switches)
        assert count_cost(export_onnx(build(changed))).macs_per_pixel == cost(changed).macs_per_pixel


def test_graphs_keep_to_operators_that_phones_have() -> None:
    safe = {"Conv", "Add", "Mul", "Concat", "Relu", "Sigmoid", "DepthToSpace", "Pad", "Slice", "Split", "Sub"}
    safe |= {"Abs", "Sqrt", "Clip", "MatMul", "Reshape", "Div", "Reciprocal", "Gather", "Unsqueeze", "Shape"}
    safe |= {"ConstantOfShape"}
    model = export_onnx(build(replace(PLAIN, packing=4, recurrent=1, residual=1, head=1)))
    assert {node.op_type for node in onnx.load_model_from_string(model).graph.node} <= safe


@pytest.mark.parametrize(("width", "groups"), [(16, 4), (20, 4), (6, 2), (7, 1)])
def test_grouped_convolutions_have_four_groups_where_the_width_allows(width: int, groups: int) -> None:
    block = Spec.code((1, int(LayerType.GROUPED), 3, 0, 0), (2, 7, 0, 0, 0))
    assert groups_of(width) == groups
    dense = cost(Spec(PLAIN.block, width)).macs_per_pixel
    grouped = cost(Spec(block, width)).macs_per_pixel
    assert dense - grouped == 9 * width**2 * (1 - 1 / groups) / 4
    layer = build(Spec(block, width)).blocks[0].get_submodule("layer1")
    assert isinstance(layer, torch.nn.Conv2d)
    assert layer.groups == groups

"""Type 10 of the space: dynamic convolutions in specs, networks and graphs."""

import random
from dataclasses import replace

import onnx
import pytest
import torch
from autoisp_core.spec import BANK, FRAME_PIXELS, LayerType, SearchSpace, Spec, cost
from autoisp_isp.cost import count_cost
from autoisp_isp.cost_graph import computed_kernels
from autoisp_isp.dynamic.convolution import DynamicConv2d
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from torch import Tensor

BLOCK = Spec.code((1, 10, 3, 0, 0), (2, 10, 1, 1, 0), (3, 7, 0, 0, 0))
SPEC = Spec(BLOCK, 16, repeats=3, frames=1, head_kernel=1)
STATIC = replace(SPEC, block=Spec.code((1, 1, 3, 0, 0), (2, 1, 1, 1, 0), (3, 7, 0, 0, 0)))


def frames(*brightness: float) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    levels = torch.tensor(brightness)[:, None, None, None]
    count = len(brightness)
    return {
        "raw": levels * torch.rand(count, 4, 12, 16, generator=generator),
        "gains": torch.ones(count, 3),
        "ccm": torch.eye(3).repeat(count, 1, 1),
        "noise": torch.full((count, 2), 1e-4),
    }


def test_costs_per_pixel_what_static_layers_do_and_a_little_per_frame() -> None:
    width, area = SPEC.width, SPEC.packing**2
    kernels = BANK * width * width * (9 + 1)
    coefficients = width * 2 * width * BANK
    per_frame = SPEC.repeats * (kernels + coefficients)
    dynamic, static = cost(SPEC), cost(STATIC)
    assert dynamic.macs_per_pixel == static.macs_per_pixel + per_frame / FRAME_PIXELS
    assert dynamic.bytes_per_pixel == static.bytes_per_pixel
    more = (BANK - 1) * width * width * (9 + 1) + coefficients + 2 * width * BANK
    assert dynamic.parameters == static.parameters + SPEC.repeats * more
    assert (width, area) == (16, 4)


def test_the_count_does_not_depend_on_the_picture_it_is_made_on() -> None:
    model = export_onnx(build(SPEC))
    assert count_cost(model).macs_per_pixel == count_cost(model, height=32, width=96).macs_per_pixel


def test_a_graph_has_one_predictor_for_each_block_and_takes_one_frame() -> None:
    parsed = onnx.load_model_from_string(export_onnx(build(SPEC)))
    onnx.checker.check_model(parsed, full_check=True)
    operators = [node.op_type for node in parsed.graph.node]
    assert operators.count("GlobalAveragePool") == operators.count("Gemm") == SPEC.repeats
    assert len(computed_kernels(parsed)) == 2 * SPEC.repeats
    batches = {
        value.type.tensor_type.shape.dim[0].dim_value for value in (*parsed.graph.input, *parsed.graph.output)
    }
    assert batches == {1}


def test_starts_as_a_static_network_does_and_learns_to_depend_on_the_frame() -> None:
    torch.manual_seed(0)
    network = build(SPEC)
    given = frames(0.9, 0.3)
    static = build(STATIC)
    for name in ("stem", "head"):
        static.get_submodule(name).load_state_dict(network.get_submodule(name).state_dict())
    with torch.no_grad():
        torch.testing.assert_close(network(**given), static(**given), rtol=0, atol=1e-5)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        (network(**given) - given["raw"].mean((1, 2, 3))[:, None, None, None]).square().mean().backward()
        optimizer.step()
    predictor = network.get_submodule("blocks.0.coefficients")
    made: list[Tensor] = []
    predictor.register_forward_hook(lambda _, __, values: made.append(values[0].detach()))
    network(**given)
    assert float((made[0][0] - made[0][1]).abs().max()) > 1e-3


def test_training_mixes_feature_maps_or_kernels_to_the_same_picture() -> None:
    torch.manual_seed(0)
    network = build(SPEC)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        pictures = []
        for mode in ("features", "kernels"):
            for module in network.modules():
                if isinstance(module, DynamicConv2d):
                    module.train_by = mode  # type: ignore[assignment]
            pictures.append(network.train()(**frames(0.9, 0.3)))
        pictures.append(network.eval()(**frames(0.9, 0.3)))
    torch.testing.assert_close(pictures[1], pictures[0], rtol=0, atol=1e-5)
    assert torch.equal(pictures[2], pictures[1])


def test_is_searched_only_where_a_space_asks_for_it() -> None:
    assert LayerType.DYNAMIC not in SearchSpace().types
    assert not SearchSpace().contains(SPEC)
    space = SearchSpace(types=(LayerType.CONV, LayerType.DYNAMIC, LayerType.ADD), frames=(1,))
    assert {kernel for kind, kernel in space.choices() if kind == LayerType.DYNAMIC} == {1, 3}
    assert space.contains(replace(SPEC, head_kernel=3, recurrent=1))
    rng = random.Random(0)
    drawn = [space.sample_within(rng, 3000) for _ in range(40)]
    assert any(layer.type == LayerType.DYNAMIC for spec in drawn for layer in spec.block)
    for spec in drawn:
        assert cost(spec).macs_per_pixel <= 3000


@pytest.mark.parametrize("kernel", [0, 5, 7])
def test_other_kernels_are_not_in_the_code(kernel: int) -> None:
    assert not SearchSpace(types=(LayerType.DYNAMIC,)).contains(
        replace(SPEC, block=Spec.code((1, 10, kernel, 0, 0), (2, 7, 0, 0, 0)))
    )

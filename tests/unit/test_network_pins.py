"""Networks that were trained before the space grew stay what they were: names, shapes, numbers, files."""

import pytest
import torch
from autoisp_core.spec import Spec, canonical_hash, cost
from autoisp_isp.network import PixelNetwork, build

BLOCK = Spec.code((1, 1, 3, 0, 0), (2, 8, 3, 1, 0), (3, 6, 0, 1, 0), (4, 12, 3, 2, 0), (5, 7, 0, 0, 0))
OLD = Spec(BLOCK, 16, repeats=2, packing=4, frames=3, stem_kernel=3, head_kernel=1)
MEAN, SPREAD, PIXEL = 0.386953, 0.229398, [0.627692, 0.097696, 0.721474]
HASH = "10659b28199e9008fbabee566f56229e45cc81fbfd9ffcc1064255d9846091e4"


def numbered() -> PixelNetwork:
    """Weights that no random generator made."""
    network = build(OLD)
    with torch.no_grad():
        for place, parameter in enumerate(network.parameters(), start=1):
            count = torch.arange(parameter.numel(), dtype=torch.float32)
            parameter.copy_((0.08 * torch.cos(count * 0.7 + place)).reshape(parameter.shape))
        if network.head.bias is not None:
            network.head.bias += 0.4
    return network


def test_names_and_shapes_of_the_weights() -> None:
    block = {
        "layer1.weight": (16, 16, 3, 3),
        "layer1.bias": (16,),
        "layer2.weight": (16, 1, 3, 3),
        "layer2.bias": (16,),
        "layer3.weight": (16, 32, 1, 1),
        "layer3.bias": (16,),
        "layer4.weight": (16, 16, 3, 3),
        "layer4.bias": (16,),
        "fuse.weight": (16, 32, 1, 1),
        "fuse.bias": (16,),
    }
    expected = {"stem.weight": (16, 12, 6, 6), "stem.bias": (16,)}
    for index in range(2):
        expected |= {f"blocks.{index}.{name}": shape for name, shape in block.items()}
    expected |= {"head.weight": (48, 16, 1, 1), "head.bias": (48,)}
    assert {name: tuple(value.shape) for name, value in build(OLD).state_dict().items()} == expected


def test_numbers() -> None:
    raw = (torch.arange(3 * 4 * 7 * 9, dtype=torch.float32) * 0.37).sin().reshape(1, 3, 4, 7, 9) * 0.3 + 0.3
    camera = torch.tensor([[2.0, 1.0, 1.7]]), torch.eye(3)[None], torch.tensor([[0.01, 0.0005]])
    with torch.no_grad():
        srgb = numbered()(raw, *camera)
    assert srgb.shape == (1, 3, 14, 18)
    assert [float(srgb.mean()), float(srgb.std())] == pytest.approx([MEAN, SPREAD], abs=2e-5)
    assert srgb[0, :, 3, 5].tolist() == pytest.approx(PIXEL, abs=5e-5)


def test_identity_and_cost() -> None:
    assert canonical_hash(OLD) == HASH
    assert (cost(OLD).macs_per_pixel, cost(OLD).parameters, cost(OLD).bytes_per_pixel) == (995, 19456, 304)
    assert "recurrent" not in OLD.to_json()

"""Networks of users become dynamic without changing what they compute; what can't is named."""

import copy
from collections import OrderedDict
from typing import Any

import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_isp.dynamic import DynamicConv2d, dynamize, freeze
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Residual(nn.Module):
    """A block as users write them: a sequence within a module with its own way through it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding="same", padding_mode="replicate", groups=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.body(x)).relu()


class Net(nn.Module):
    """Stem, two blocks, head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.Sequential(OrderedDict(first=Residual(width), second=Residual(width)))
        self.head = nn.Conv2d(width, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.head(self.blocks(self.stem(x)))
        return result


PICTURE = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(1))


def dynamic_layers(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, DynamicConv2d)]


def trained(model: nn.Module) -> nn.Module:
    """Steps far enough that coefficients differ from picture to picture."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    generator = torch.Generator().manual_seed(2)
    for _ in range(10):
        x = torch.rand(4, 3, 12, 10, generator=generator) * torch.rand(4, 1, 1, 1, generator=generator)
        optimizer.zero_grad()
        (model(x) - x.mean((1, 2, 3), keepdim=True) * x).square().mean().backward()
        optimizer.step()
    return model


def test_computes_what_it_did_before() -> None:
    model = Net()
    before = copy.deepcopy(model.state_dict())
    dynamic = dynamize(model, PICTURE)
    assert dynamic_layers(dynamic) == [
        f"blocks.{block}.body.{at}" for block in ("first", "second") for at in (0, 3)
    ]
    for mode in (True, False):
        torch.testing.assert_close(
            dynamic.train(mode)(PICTURE), model.train(mode)(PICTURE), rtol=0, atol=1e-5
        )
    model.load_state_dict(before)
    assert dynamic_layers(model) == []


def test_one_predictor_serves_all_convolutions_of_a_block() -> None:
    dynamic = dynamize(Net(), PICTURE, bank=4)
    predictor = dynamic.get_submodule("blocks.first.dynamic_coefficients")
    assert isinstance(predictor.mix, nn.Linear)
    assert (predictor.mix.in_features, predictor.mix.out_features) == (8, 2 * 8 * 4)
    squeezed = dynamize(Net(), PICTURE, squeeze=4).get_submodule("blocks.first.dynamic_coefficients")
    assert isinstance(squeezed.squeeze, nn.Linear)
    assert squeezed.squeeze.out_features == 2


def test_training_makes_it_depend_on_the_picture_and_both_modes_agree() -> None:
    dynamic = trained(dynamize(Net(), PICTURE))
    made = []
    dynamic.get_submodule("blocks.first.dynamic_coefficients").register_forward_hook(
        lambda _, __, values: made.append(values[0])
    )
    for module in dynamic.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        bright = torch.stack((PICTURE[0], 0.2 * PICTURE[1]))
        features = dynamic(bright)
        torch.testing.assert_close(dynamic.eval()(bright), features, rtol=0, atol=1e-5)
    assert not torch.allclose(made[0][0], made[0][1], atol=1e-4)


def test_a_copy_and_its_weights_are_whole() -> None:
    dynamic = trained(dynamize(Net(), PICTURE)).eval()
    again = copy.deepcopy(dynamic)
    fresh = dynamize(Net(), PICTURE).eval()
    fresh.load_state_dict(dynamic.state_dict())
    with torch.no_grad():
        wanted = dynamic(PICTURE)
        dynamic.get_submodule("blocks.first.dynamic_coefficients").mix.bias.add_(1.0)
        assert not torch.allclose(dynamic(PICTURE), wanted)
        assert torch.equal(again(PICTURE), wanted)
        assert torch.equal(fresh(PICTURE), wanted)


def test_freezing_gives_a_plain_network_equal_where_all_pictures_are_one() -> None:
    dynamic = trained(dynamize(Net(), PICTURE)).eval()
    one = PICTURE[:1]
    frozen = freeze(dynamic, [one, one])
    assert dynamic_layers(frozen) == []
    assert set(frozen.state_dict()) == set(Net().state_dict())
    with torch.no_grad():
        torch.testing.assert_close(frozen(one), dynamic(one), rtol=0, atol=1e-5)
        assert not torch.allclose(frozen(0.1 * one), dynamic(0.1 * one), atol=1e-5)
    assert dynamic_layers(dynamic)


def test_freezing_needs_pictures() -> None:
    with pytest.raises(InvalidArgumentError, match="give at least one"):
        freeze(dynamize(Net(), PICTURE), [])


def test_a_network_without_blocks_is_one() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
    dynamic = dynamize(model, PICTURE)
    assert dynamic_layers(dynamic) == ["0", "2"]
    assert dynamic_layers(dynamize(model, PICTURE, keep=["2"])) == ["0"]


def test_blocks_may_be_named() -> None:
    dynamic = dynamize(Net(), PICTURE, blocks=["blocks.second"])
    assert dynamic_layers(dynamic) == ["blocks.second.body.0", "blocks.second.body.3"]
    whole = dynamize(Net(), PICTURE, blocks=[""])
    assert dynamic_layers(whole)[0] == "stem"
    assert len(dynamic_layers(whole)) == 6


class Own(nn.Conv2d):
    """Standardises its kernels first, say."""


class Caller(nn.Module):
    """Reaches into a block."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.other = Residual(8), Residual(8)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block.body(self.other(x.repeat(1, 3, 1, 1)[:, :8]))
        return result


class Lists(nn.Module):
    """A block that takes several maps at once."""

    def __init__(self) -> None:
        super().__init__()
        self.block = ListBlock()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.block([x, x])
        return result


class ListBlock(nn.Module):
    """Adds what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        result: Tensor = self.conv(maps[0] + maps[1])
        return result


def changed(path: str, module: nn.Module) -> nn.Module:
    model = Net()
    model.set_submodule(path, module)
    return model


def shared() -> nn.Module:
    model = Net()
    model.set_submodule("blocks.second.body.0", model.get_submodule("blocks.first.body.0"))
    return model


def tied() -> nn.Module:
    model = Net()
    first, second = (model.get_submodule(f"blocks.{name}.body.0") for name in ("first", "second"))
    second.weight = first.weight  # type: ignore[assignment]
    return model


def unused() -> nn.Module:
    model = Net()
    model.get_submodule("blocks.first").add_module("spare", nn.Conv2d(8, 8, 1))
    return model


@pytest.mark.parametrize(
    ("model", "layer", "why"),
    [
        (
            changed("blocks.first.body.3", Own(8, 8, 3, padding=1)),
            "blocks.first.body.3",
            "is a Own, not a plain",
        ),
        (
            changed("blocks.first.body.3", nn.ConvTranspose2d(8, 8, 1)),
            "blocks.first.body.3",
            "is a ConvTranspose2d",
        ),
        (
            changed("blocks.first.body.0", parametrizations.weight_norm(nn.Conv2d(8, 8, 1))),
            "blocks.first.body.0",
            "is a Parametrized",
        ),
        (changed("blocks.second.body.0", nn.LazyConv2d(8, 1)), "blocks.second.body.0", "run the model once"),
        (shared(), "blocks.first.body.0", "is the same layer as 'blocks.second.body.0'"),
        (tied(), "blocks.first.body.0", "shares its weights with 'blocks.second.body.0.weight'"),
        (unused(), "blocks.first.spare", "doesn't run on the example"),
        (Caller(), "block.body.0", "runs outside of its block 'block'"),
        (Lists(), "block.conv", "whose first input is list"),
    ],
    ids=["subclass", "transposed", "parametrized", "lazy", "shared", "tied", "unused", "outside", "list"],
)
def test_names_the_layer_that_it_cannot_convert(model: nn.Module, layer: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        dynamize(model, PICTURE)
    assert caught.value.field == f"model.{layer}"
    assert why in str(caught.value)
    assert "'keep'" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "field", "why"),
    [
        ({"keep": ["head2"]}, "keep", "no module 'head2'"),
        ({"blocks": ["block"]}, "blocks", "no module 'block'"),
        ({"keep": ["stem", "blocks", "head"]}, "model", "no 2-D convolution"),
    ],
)
def test_names_a_wrong_argument(options: dict[str, Any], field: str, why: str) -> None:
    with pytest.raises(InvalidArgumentError, match=why) as caught:
        dynamize(Net(), PICTURE, **options)
    assert caught.value.field == field


def test_says_that_the_example_does_not_fit() -> None:
    with pytest.raises(InvalidArgumentError, match="doesn't run on the example") as caught:
        dynamize(Net(), torch.rand(1, 5, 8, 8))
    assert caught.value.field == "example"


def test_what_cannot_be_converted_may_be_kept() -> None:
    dynamic = dynamize(unused(), PICTURE, keep=["blocks.first.spare"])
    assert len(dynamic_layers(dynamic)) == 4

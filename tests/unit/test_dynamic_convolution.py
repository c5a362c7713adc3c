"""Dynamic convolutions: both ways to the same result, what they start as, and what they cost."""

import pytest
import torch
from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import DynamicConv2d
from torch import Tensor, nn

FORMS = {
    "pointwise": {"kernel_size": 1},
    "dense": {"kernel_size": 3, "padding": 1},
    "grouped": {"kernel_size": 3, "padding": 1, "groups": 4},
    "depthwise": {"kernel_size": 5, "padding": 2, "groups": 8},
    "strided": {"kernel_size": (3, 1), "stride": (2, 1), "padding": (1, 0)},
    "dilated": {"kernel_size": 3, "padding": "same", "dilation": 2, "bias": False},
    "reflecting": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
}


def made(form: str, bank: int = 6) -> DynamicConv2d:
    torch.manual_seed(3)
    return DynamicConv2d(8, 16, bank=bank, **FORMS[form])  # type: ignore[arg-type]


def pictures(count: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand((count, 8, 9, 11), generator=generator)
    return x, torch.rand((count, 16, 6), generator=generator)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 3])
def test_fusing_kernels_equals_fusing_features(form: str, count: int) -> None:
    convolution, (x, coefficients) = made(form), pictures(count)
    with torch.no_grad():
        features = convolution.train()(x, coefficients)
        kernels = convolution.eval()(x, coefficients)
    assert features.abs().max() > 0.1
    torch.testing.assert_close(kernels, features, rtol=0, atol=1e-5)


def test_both_ways_have_the_same_gradients() -> None:
    convolution, (x, coefficients) = made("dense"), pictures()
    gradients = []
    for fuse in (convolution.fuse_features, convolution.fuse_kernels):
        eta = coefficients.clone().requires_grad_()
        loss = fuse(x, eta).square().mean()
        gradients.append(torch.autograd.grad(loss, [eta, convolution.weight]))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_each_picture_is_convolved_with_its_own_kernels(form: str) -> None:
    convolution, (x, coefficients) = made(form).eval(), pictures()
    options = FORMS[form] | {"bias": False}
    with torch.no_grad():
        together = convolution(x, coefficients)
        for index, kernels in enumerate(convolution.kernels(coefficients)):
            plain = nn.Conv2d(8, 16, **options)  # type: ignore[arg-type]
            plain.weight.copy_(kernels)
            bias = 0 if convolution.bias is None else convolution.bias[:, None, None]
            torch.testing.assert_close(together[index], plain(x[index][None])[0] + bias, rtol=0, atol=1e-5)


def test_kernels_are_sums_of_the_bank_weighted_by_the_coefficients() -> None:
    convolution, (_, coefficients) = made("dense"), pictures(1)
    kernels = convolution.kernels(coefficients)[0]
    bank = convolution.weight[2 * 6 : 3 * 6]
    by_hand = sum(float(coefficients[0, 2, i]) * bank[i] for i in range(6))
    torch.testing.assert_close(kernels[2], by_hand)


@pytest.mark.parametrize("bank", [1, 2, 6])
def test_resting_coefficients_give_the_kernels_it_starts_from(bank: int) -> None:
    wanted = torch.randn(16, 8, 3, 3)
    convolution = made("dense", bank)
    convolution.start_from(wanted)
    coefficients = Coefficients(8, [16], bank=bank)
    (resting,) = coefficients(torch.rand(2, 8, 4, 4))
    assert resting.shape == (2, 16, bank)
    with torch.no_grad():
        kernels = convolution.kernels(resting)
    torch.testing.assert_close(kernels, wanted.expand(2, -1, -1, -1, -1), rtol=0, atol=1e-5)


def test_the_kernels_of_a_bank_differ_so_that_each_learns_something_else() -> None:
    convolution, coefficients = made("dense"), Coefficients(8, [16])
    x = torch.rand(4, 8, 9, 11)
    convolution(x, *coefficients(x)).square().mean().backward()
    gradient = coefficients.mix.weight.grad
    assert gradient is not None
    assert float(gradient.unflatten(0, (16, 6)).std(1).min()) > 0


@pytest.mark.parametrize("hidden", [None, 4])
def test_coefficients_follow_the_mean_of_the_picture(hidden: int | None) -> None:
    coefficients = Coefficients(8, [16, 4], hidden=hidden, bank=3)
    nn.init.normal_(coefficients.mix.weight)
    x = torch.rand(2, 8, 6, 6)
    first, second = coefficients(x)
    assert (first.shape, second.shape) == ((2, 16, 3), (2, 4, 3))
    assert float(first.detach().min()) > 0
    assert float(first.detach().max()) < 1
    assert not torch.allclose(first[0], first[1])
    rolled = coefficients(x.roll(2, -1))
    torch.testing.assert_close(rolled[0], first)


def test_refuses_what_a_plain_convolution_refuses() -> None:
    with pytest.raises(ValueError, match="groups"):
        DynamicConv2d(8, 16, 3, groups=3)

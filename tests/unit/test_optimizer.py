"""The optimiser: matrices orthogonalised together, steps equal to those of one parameter after the other."""

from __future__ import annotations

import pytest
import torch
from autoisp_core.spec import LayerType, Spec
from autoisp_core.spec.blocks import chain
from autoisp_isp.network import build
from autoisp_isp.optimizer import Optimizer, is_matrix
from autoisp_isp.orthogonal import orthogonal
from autoisp_isp.recipe import Recipe
from torch import Tensor, nn

_RECIPE = Recipe()
_RATE = 1e-2
_MIXED = chain([(LayerType.CONV, 3), (LayerType.DEPTHWISE, 3), (LayerType.CONV, 1), (LayerType.GROUPED, 3)])


def _random(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 144), (16, 48), (8, 8)])
def test_orthogonal_matrices_have_equal_singular_values(shape: tuple[int, int]) -> None:
    matrix = _random(shape)
    near = orthogonal(matrix[None])[0]
    values = torch.linalg.svdvals(near)
    assert values.min() > 0.3
    assert values.max() < 1.3
    # Directions stay: the step goes along the gradient.
    assert float((near * matrix).sum()) > 0
    assert torch.equal(orthogonal(torch.zeros(1, *shape)), torch.zeros(1, *shape))


def test_padding_changes_nothing() -> None:
    small, large = _random((5, 7)), _random((8, 30), seed=1)
    padded = torch.zeros(2, 8, 30)
    padded[0, :5, :7], padded[1] = small, large
    both = orthogonal(padded)
    torch.testing.assert_close(both[0, :5, :7], orthogonal(small[None])[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(both[1], orthogonal(large[None])[0], atol=1e-5, rtol=0)
    assert not both[0, 5:].any()
    assert not both[0, :, 7:].any()


def test_badly_conditioned_matrices_stay_bounded() -> None:
    left, _, right = torch.linalg.svd(_random((16, 144)), full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(0, -6, 16)) @ right
    values = torch.linalg.svdvals(orthogonal(matrix[None])[0])
    assert values.max() < 1.3
    assert values[0] > 0.6


@pytest.mark.parametrize(
    "spec",
    [
        Spec(_MIXED, 16, repeats=2, head_kernel=1, recurrent=1),
        Spec(_MIXED, 40, packing=4),  # a head that is higher than wide, and stacks of two heights
    ],
)
def test_all_parameters_at_once_step_like_one_after_the_other(spec: Spec) -> None:
    torch.manual_seed(0)
    network = build(spec).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = dict(network.named_parameters())
    one_by_one = _OneByOne(parameters)
    optimizer = Optimizer(parameters, _RECIPE)
    for step in range(5):
        for place, parameter in enumerate(parameters.values()):
            parameter.grad = _random(parameter.shape, 100 * step + place) * 0.2
        one_by_one.step(step)
        optimizer.step(step, _RATE)
    for name, parameter in parameters.items():
        assert parameter.grad is None
        torch.testing.assert_close(parameter.detach(), one_by_one.values[name], atol=2e-5, rtol=0, msg=name)


def test_what_reduces_the_gradients_comes_before_the_clipping() -> None:
    parameters = {"weight": nn.Parameter(torch.ones(4, 3, 3, 3)), "bias": nn.Parameter(torch.ones(4))}
    optimizer = Optimizer(parameters, _RECIPE)
    for parameter in parameters.values():
        parameter.grad = torch.full_like(parameter, 5.0)
    seen = []

    def reduce(gradients: Tensor) -> None:
        seen.append(float(gradients.max()))
        gradients.mul_(1e-3)

    optimizer.step(0, _RATE, reduce)
    assert seen == [5.0]
    # Shorter than the limit after the reduction, so nothing was clipped.
    assert float(optimizer.gradients.max()) == pytest.approx(5e-3)
    for parameter in parameters.values():
        parameter.grad = torch.full_like(parameter, 5.0)
    optimizer.step(1, _RATE)
    assert float(optimizer.gradients.norm()) == pytest.approx(_RECIPE.clip_norm, rel=1e-4)


def test_a_parameter_without_gradient_stays_as_it_is() -> None:
    parameters = {
        "used": nn.Parameter(torch.ones(4, 3, 3, 3)),
        "unused": nn.Parameter(torch.ones(4, 3, 1, 1)),
    }
    optimizer = Optimizer(parameters, _RECIPE)
    parameters["used"].grad = _random((4, 3, 3, 3))
    optimizer.step(0, _RATE)
    assert torch.equal(parameters["unused"].detach(), torch.ones(4, 3, 1, 1))
    assert not torch.equal(parameters["used"].detach(), torch.ones(4, 3, 3, 3))


class _OneByOne:
    """The same optimiser as its papers write it, each parameter on its own."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        self._parameters = parameters
        self.values = {name: value.detach().clone() for name, value in parameters.items()}
        self._first = {name: torch.zeros_like(value) for name, value in self.values.items()}
        self._second = {name: torch.zeros_like(value) for name, value in self.values.items()}

    def step(self, number: int) -> None:
        gradients = {name: value.grad for name, value in self._parameters.items() if value.grad is not None}
        length = torch.stack([value.norm() for value in gradients.values()]).norm()
        shorter = min(1.0, _RECIPE.clip_norm / float(length))
        for name, gradient in gradients.items():
            gradient = gradient * shorter
            self.values[name] -= (
                self._muon(name, gradient) if is_matrix(gradient) else self._adam(name, gradient, number)
            )

    def _muon(self, name: str, gradient: Tensor) -> Tensor:
        self._first[name] = _RECIPE.momentum * self._first[name] + gradient
        ahead = (gradient + _RECIPE.momentum * self._first[name]).flatten(1)
        x = ahead / ahead.norm()
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        return _RATE * 0.2 * max(ahead.shape) ** 0.5 * x.view_as(gradient)

    def _adam(self, name: str, gradient: Tensor, number: int) -> Tensor:
        decay, squared = _RECIPE.adam_decays
        self._first[name] = decay * self._first[name] + (1 - decay) * gradient
        self._second[name] = squared * self._second[name] + (1 - squared) * gradient**2
        mean = self._first[name] / (1 - decay ** (number + 1))
        return _RATE * mean / ((self._second[name] / (1 - squared ** (number + 1))).sqrt() + 1e-8)

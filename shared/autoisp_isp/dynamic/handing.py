"""Coefficients for blocks whose code knows nothing of them: convolutions get them before the block runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import DynamicConv2d

_MODULE = "dynamic_coefficients"
"""Name under which a block gets the predictor of its coefficients."""


class BlockConvolution(DynamicConv2d):
    """A dynamic convolution in a block whose code knows nothing of coefficients: they are handed to it before
    the block runs, and taken back after."""

    given: Tensor | None = None

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        """Convolves each picture of (N, in_channels, H, W) with its own kernels."""
        coefficients = self.given if coefficients is None else coefficients
        if coefficients is None:
            raise RuntimeError(f"{self} runs outside of its block, which gets its coefficients; see `keep`")
        return super().forward(x, coefficients)


class BlockCoefficients(Coefficients):
    """Coefficients for a block that hands them to its convolutions.

    Attributes:
        convolutions: names of the convolutions within the block.
        handles: of the hooks that hand out and take back.
    """

    convolutions: tuple[str, ...]
    handles: list[RemovableHandle]


def hand_over(block: nn.Module, made: BlockCoefficients, convolutions: Sequence[str]) -> None:
    """Puts the predictor into a block, and has it serve the convolutions of these names whenever it runs."""
    made.convolutions = tuple(convolutions)
    made.handles = [
        block.register_forward_pre_hook(_hand_out, with_kwargs=True),
        block.register_forward_hook(_take_back, always_call=True),
    ]
    block.add_module(_MODULE, made.train(block.training))


def release(block: nn.Module) -> None:
    """Undoes :func:`hand_over`."""
    made = block.get_submodule(_MODULE)
    assert isinstance(made, BlockCoefficients)
    for handle in made.handles:
        handle.remove()
    delattr(block, _MODULE)


# Neither hook knows its block but from its argument: so a copied network's hooks are its own.
def _hand_out(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    made = block.get_submodule(_MODULE)
    values = made(args[0] if args else next(iter(kwargs.values())))
    for convolution, coefficients in zip(_convolutions_of(block), values, strict=True):
        convolution.given = coefficients


def _take_back(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    for convolution in _convolutions_of(block):
        convolution.given = None


def _convolutions_of(block: nn.Module) -> list[BlockConvolution]:
    made = block.get_submodule(_MODULE)
    assert isinstance(made, BlockCoefficients)
    found = [block.get_submodule(path) for path in made.convolutions]
    return [module for module in found if isinstance(module, BlockConvolution)]

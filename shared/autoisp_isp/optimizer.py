"""The optimiser: orthogonalised momentum for convolutions, Adam for the rest.

Muon (Jordan et al. 2024) replaces the momentum of a weight matrix by the nearest matrix with equal singular
values, so that directions with small gradients are learned as fast as those with large ones. For these small
networks a step costs no more than Adam's, and the same steps end about 1.8 dB higher.

A step over ten small convolutions one by one would keep the interpreter busier than the arithmetic, so the
gradients lie side by side in one buffer, and the few operations of a step run on all of them.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from autoisp_isp.flat_buffers import MatrixStack, Row, height_class
from autoisp_isp.orthogonal import orthogonal
from autoisp_isp.recipe import Recipe

# An orthogonal step then moves each weight as far, in the mean square, as Adam with the same rate would.
_ADAM_RMS = 0.2
_EPSILON = 1e-8


class Optimizer:
    """Steps of named parameters, with a state that can be read and set.

    Attributes:
        gradients: of the newest step, flat, clipped.
        first_moment: mean gradients by name, shaped like the parameters.
        second_moment: mean squared gradients by name, of the parameters that Adam steps.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], recipe: Recipe) -> None:
        classes: dict[int, list[str]] = {}
        for name, value in parameters.items():
            if is_matrix(value):
                classes.setdefault(height_class(value), []).append(name)
        others = [name for name, value in parameters.items() if not is_matrix(value)]
        self._recipe = recipe
        self._stacks = [MatrixStack([parameters[name] for name in names]) for names in classes.values()]
        self._row = Row([parameters[name] for name in others])
        self._rooms = [*(stack.room for stack in self._stacks), self._row.room]
        names = [name for names in (*classes.values(), others) for name in names]
        self._parameters: list[Tensor] = [parameters[name] for name in names]
        # What is flat is allocated once: views of it cost more than the operations on it.
        self.gradients = torch.zeros(sum(self._rooms), device=self._parameters[0].device)
        first, changes = torch.zeros_like(self.gradients), torch.zeros_like(self.gradients)
        self._second = self.gradients.new_zeros(self._row.room)
        flats = (torch.split(flat, self._rooms) for flat in (self.gradients, first, changes))
        self._parts = list(zip(*flats, strict=True))
        self._slots, self._changes = self._views(self.gradients), self._views(changes)
        self.first_moment = dict(zip(names, self._views(first), strict=True))
        self.second_moment = dict(zip(others, self._row.views(self._second), strict=True))

    @torch.no_grad()
    def step(self, number: int, learning_rate: float, reduce: Callable[[Tensor], None] | None = None) -> None:
        """Moves every parameter along its gradient, as `grad` has it, and takes that away.

        Args:
            number: of the step, from 0.
            learning_rate: of this step.
            reduce: changes all gradients, flat, in place before they are clipped: to their mean over several
                processes.
        """
        self._gather()
        if reduce is not None:
            reduce(self.gradients)
        self._clip()
        *stacked, rest = self._parts
        for stack, (gradient, momentum, change) in zip(self._stacks, stacked, strict=True):
            self._muon(stack, gradient, momentum, change, learning_rate)
        gradient, mean, change = rest
        self._adam(gradient, mean, change, number, learning_rate)
        torch._foreach_add_(self._parameters, self._changes)

    def _gather(self) -> None:
        gradients = []
        for parameter, slot in zip(self._parameters, self._slots, strict=True):
            gradients.append(torch.zeros_like(slot) if parameter.grad is None else parameter.grad)
            parameter.grad = None
        torch._foreach_copy_(self._slots, gradients)

    def _clip(self) -> None:
        """Shortens the gradients, as one vector, to the recipe's longest."""
        length = torch.linalg.vector_norm(self.gradients) + _EPSILON
        self.gradients.mul_((self._recipe.clip_norm / length).clamp_(max=1.0))

    def _muon(
        self, stack: MatrixStack, gradient: Tensor, momentum: Tensor, change: Tensor, learning_rate: float
    ) -> None:
        decay = self._recipe.momentum
        momentum.mul_(decay).add_(gradient)
        ahead = stack.of(torch.add(gradient, momentum, alpha=decay))
        scales = stack.longest_edges.sqrt() * (-learning_rate * _ADAM_RMS)
        torch.mul(orthogonal(ahead), scales, out=stack.of(change))

    def _adam(
        self, gradient: Tensor, mean: Tensor, change: Tensor, number: int, learning_rate: float
    ) -> None:
        decay, squared_decay = self._recipe.adam_decays
        mean.lerp_(gradient, 1.0 - decay)
        square = self._second.mul_(squared_decay).addcmul_(gradient, gradient, value=1.0 - squared_decay)
        root = (square / (1.0 - squared_decay ** (number + 1))).sqrt_().add_(_EPSILON)
        torch.div(mean, root, out=change).mul_(-learning_rate / (1.0 - decay ** (number + 1)))

    def _views(self, flat: Tensor) -> list[Tensor]:
        """What is flat as the parameters it holds."""
        *stacked, rest = torch.split(flat, self._rooms)
        views = [
            view for stack, part in zip(self._stacks, stacked, strict=True) for view in stack.views(part)
        ]
        return views + self._row.views(rest)


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter mixes channels: a convolution that is not depthwise."""
    return parameter.ndim == 4 and parameter.shape[1] > 1

"""Learning from a prototype: its pictures against the truth, and its features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor, nn

from autoisp_isp.optimizer import Optimizer
from autoisp_isp.recipe import Recipe, losses_of
from autoisp_isp.training_set import Teaching

_FIELD = "training.feature_distillation"


@dataclass(frozen=True, slots=True)
class FeatureTask:
    """A prototype's features to learn: how many channels they have, and how much they count."""

    channels: int
    weight: float


def taught_losses(losses: Tensor, picture: Tensor, teaching: Teaching | None) -> Tensor:
    """Each patch's loss (N,), the prototype's picture counted in with its weight.

    Hinton, Vinyals, Dean: "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), with the
    logarithm of the mean squared error in place of the cross entropy: a weight of 0.5 weighs a dB nearer to
    the prototype like a dB nearer to the truth.

    Args:
        losses: (N,) against the truth.
        picture: (N, 3, 2h, 2w) the network's.
        teaching: of the batch; None changes nothing.
    """
    if teaching is None:
        return losses
    weight = teaching.weight
    return (1.0 - weight) * losses + weight * losses_of(picture, teaching.picture)


class FeatureLearner:
    """Makes the features behind a network's last block predict the prototype's through a 1×1 convolution.

    FitNets (Romero et al., arXiv 1412.6550, equation 3) with the mean squared error of standardised features.
    The convolution is learned beside the network and dropped at the end.

    Args:
        network: with a list ``blocks`` of modules whose last gives (N, width, H, W), as those of specs.
        width: channels of its features.
        task: what to predict.
        recipe: the convolution is trained like the network.

    Raises:
        InvalidArgumentError: the network has no such blocks.
    """

    def __init__(self, network: nn.Module, width: int, task: FeatureTask, recipe: Recipe) -> None:
        blocks = getattr(network, "blocks", None)
        if not isinstance(blocks, nn.ModuleList) or len(blocks) == 0:
            raise InvalidArgumentError(
                _FIELD,
                "only networks of specs show their features; leave feature distillation out for others",
            )
        self._weight, self._recipe = task.weight, recipe
        self._adapter = nn.Conv2d(width, task.channels, 1)
        self._parameters = dict(self._adapter.named_parameters())
        self._optimizer = Optimizer(self._parameters, recipe)
        self._features: Tensor | None = None
        blocks[-1].register_forward_hook(self._note)

    def to(self, device: torch.device) -> FeatureLearner:
        """On that device from now on."""
        self._adapter.to(device)
        self._optimizer = Optimizer(self._parameters, self._recipe)
        return self

    def losses(self, teaching: Teaching) -> Tensor:
        """What is added to each patch's loss (N,) once the network has run; 0 in patches without a lesson."""
        if self._features is None:
            raise RuntimeError("the network has to run before its features can be judged")
        wanted = teaching.features
        # Whoever has the finer features is averaged to the other's size: both then speak of the same pixels.
        # Under autocast they come in bfloat16, which the convolution out here does not take.
        predicted = self._adapter(self._features.float())
        size = min(predicted.shape[-1], wanted.shape[-1])
        difference = _averaged(predicted, size) - _averaged(wanted, size)
        self._features = None
        return self._weight * teaching.lesson * difference.square().flatten(1).mean(1)

    def step(self, number: int, learning_rate: float, reduce: Callable[[Tensor], None] | None = None) -> None:
        """Moves the convolution along its gradient; as :meth:`autoisp_isp.optimizer.Optimizer.step`."""
        self._optimizer.step(number, learning_rate, reduce)

    def state(self) -> dict[str, Tensor]:
        """All that the next steps depend on, for a checkpoint."""
        return {f"{group}.{name}": value for group, named in self._groups() for name, value in named.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what :meth:`state` gave.

        Raises:
            InvalidArgumentError: it is of another learner.
        """
        with torch.no_grad():
            for name, value in self.state().items():
                if name not in state or state[name].shape != value.shape:
                    raise InvalidArgumentError(
                        "resume_from", "the checkpoint has no features of this prototype: train anew"
                    )
                value.copy_(state[name])

    def _groups(self) -> tuple[tuple[str, Mapping[str, Tensor]], ...]:
        moments = self._optimizer
        return (
            ("weights", self._parameters),
            ("first_moment", moments.first_moment),
            ("second_moment", moments.second_moment),
        )

    def _note(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._features = output


def _averaged(features: Tensor, size: int) -> Tensor:
    if features.shape[-1] == size:
        return features
    if features.shape[-1] % size:
        return nn.functional.adaptive_avg_pool2d(features, size)
    # The same, and with a gradient on CUDA that comes out the same each time.
    return nn.functional.avg_pool2d(features, features.shape[-1] // size)

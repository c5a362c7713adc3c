"""A spec as a flat set of Optuna parameters, as someone would write it down who searches with Optuna.

All parameters are asked for in every trial, those of layers beyond the chosen number too: samplers that learn
the parameters jointly (NSGA-II, GP, multivariate TPE) leave to chance what is not in every trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autoisp_core.spec import Layer, LayerType, SearchSpace, Spec
from autoisp_core.spec.blocks import is_unary
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

Parameters = dict[str, Any]

_LAYERS = "layers"


class SpecParameters:
    """Translates between the specs of a space and values of Optuna's parameters.

    Attributes:
        distributions: by parameter; without those that leave no choice.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._numbers = space.numbers()
        self._kinds = {
            f"{kind.name.lower()}{kernel or ''}": (kind, kernel) for kind, kernel in space.choices()
        }
        self._max_layers = space.max_layers
        every = dict(self._distributions())
        self.distributions = {name: choice for name, choice in every.items() if not choice.single()}
        self._fixed = {name: _first(choice) for name, choice in every.items() if choice.single()}

    def spec(self, values: Mapping[str, Any]) -> Spec:
        """The spec that values of all parameters describe."""
        values = {**self._fixed, **values}
        layers = [self._layer(index, values) for index in range(1, values[_LAYERS] + 1)]
        terminal = Layer(len(layers) + 1, LayerType.TERMINAL)
        numbers: dict[str, int] = {name: values[name] for name in self._numbers}
        return Spec(block=(*layers, terminal), **numbers)

    def values(self, spec: Spec) -> Parameters:
        """Values of all parameters that describe a spec of the space; what it does not use has its first."""
        values: Parameters = {name: _first(choice) for name, choice in self.distributions.items()}
        described: Parameters = {name: getattr(spec, name) for name in self._numbers}
        described[_LAYERS] = len(spec.block) - 1
        names = {choice: name for name, choice in self._kinds.items()}
        for layer in spec.block[:-1]:
            described[_kind(layer.index)] = names[layer.type, layer.kernel]
            described[_pred(layer.index)] = layer.pred1
            if not is_unary(layer.type):
                described[_other(layer.index)] = layer.pred2 - (layer.pred2 > layer.pred1)
        return values | {name: value for name, value in described.items() if name in values}

    def _distributions(self) -> list[tuple[str, BaseDistribution]]:
        every: list[tuple[str, BaseDistribution]] = [
            (name, CategoricalDistribution(values)) for name, values in self._numbers.items()
        ]
        every.append((_LAYERS, IntDistribution(1, self._max_layers)))
        for index in range(1, self._max_layers + 1):
            kinds = [name for name, (kind, _) in self._kinds.items() if index > 1 or is_unary(kind)]
            every.append((_kind(index), CategoricalDistribution(kinds)))
            every.append((_pred(index), CategoricalDistribution(range(index))))
            if index > 1:
                every.append((_other(index), CategoricalDistribution(range(index - 1))))
        return every

    def _layer(self, index: int, values: Mapping[str, Any]) -> Layer:
        kind, kernel = self._kinds[values[_kind(index)]]
        layer = Layer(index, kind, kernel, values[_pred(index)])
        if is_unary(kind):
            return layer
        other = values[_other(index)]  # counts past the first predecessor, so that the two differ
        return replace(layer, pred2=other + (other >= layer.pred1))


def _kind(index: int) -> str:
    return f"layer{index}"


def _pred(index: int) -> str:
    return f"layer{index}_reads"


def _other(index: int) -> str:
    return f"layer{index}_reads_also"


def _first(choice: BaseDistribution) -> Any:
    return choice.choices[0] if isinstance(choice, CategoricalDistribution) else getattr(choice, "low")  # noqa: B009

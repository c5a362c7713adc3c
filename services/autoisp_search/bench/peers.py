"""Optuna as its users call it: a parameter for each choice, a sampler as it comes, ask and tell.

Written on its own, so that nothing that AutoISP's strategies do for Optuna's samplers helps or hinders them
here. To their favour a proposal over the limit costs nothing, since its cost is known before training; one
that was trained already is trained again, as it would be.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import optuna
from autoisp_core.spec import Layer, LayerType, SearchSpace, Spec
from autoisp_core.spec.blocks import is_unary
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler

from autoisp_search.bench.table import Row, Table

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "optuna-random": lambda seed: RandomSampler(seed=seed),
    "optuna-nsga2": lambda seed: NSGAIISampler(seed=seed),
    "optuna-tpe": lambda seed: TPESampler(seed=seed),
}
"""Peers by name, from a seed."""


def trained(table: Table, peer: str, seed: int) -> Iterator[Row]:
    """The networks that a study trains, one after the other, for ever; the same one may come again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = SAMPLERS[peer](seed)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    while True:
        trial = study.ask()
        row = table.row(_suggested(trial, table.space))
        if row is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            continue
        study.tell(trial, [row.quality(), row.macs_per_pixel])
        yield row


def _suggested(trial: optuna.Trial, space: SearchSpace) -> Spec:
    """A spec out of one categorical parameter for each choice that has to be made."""
    choices = {f"{kind.name} {kernel}": (kind, kernel) for kind, kernel in space.choices()}
    unary = [name for name, (kind, _) in choices.items() if is_unary(kind)]
    layers = []
    for index in range(1, trial.suggest_categorical("layers", range(1, space.max_layers + 1)) + 1):
        kind, kernel = choices[
            trial.suggest_categorical(f"type {index}", list(choices) if index > 1 else unary)
        ]
        first = trial.suggest_categorical(f"first {index}", range(index))
        second = 0
        if not is_unary(kind):
            others = trial.suggest_categorical(f"second {index}", range(index - 1))
            second = others + (others >= first)
        layers.append(Layer(index, kind, kernel, first, second))
    layers.append(Layer(len(layers) + 1, LayerType.TERMINAL))
    numbers = {name: trial.suggest_categorical(name, values) for name, values in space.numbers().items()}
    return Spec(tuple(layers), **numbers)

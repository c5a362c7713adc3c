"""Optuna's samplers with their default settings, made anew for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

Distributions = dict[str, BaseDistribution]


class KnownSpace(BaseSampler):
    """A sampler that is told which parameters to learn jointly, instead of looking through all trials for it.

    Args:
        sampler: does the rest.
        joint: what it would find: all parameters, since every trial has all of them.
    """

    def __init__(self, sampler: BaseSampler, joint: Distributions) -> None:
        self._sampler = sampler
        self._joint = joint

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Distributions:
        """See :class:`optuna.samplers.BaseSampler`, here and below."""
        return self._joint

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: Distributions
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self._sampler.after_trial(study, trial, state, values)


def nsga2(seed: int, distributions: Distributions, objectives: int) -> BaseSampler:
    """NSGA-II."""
    return KnownSpace(NSGAIISampler(seed=seed), distributions)


def tpe(seed: int, distributions: Distributions, objectives: int) -> BaseSampler:
    """TPE: multivariate for one objective, for more parameter by parameter, as Optuna has it."""
    return KnownSpace(TPESampler(seed=seed), distributions if objectives == 1 else {})


def gp(seed: int, distributions: Distributions, objectives: int) -> BaseSampler:
    """Gaussian process. Needs torch and scipy."""
    return KnownSpace(GPSampler(seed=seed, warn_independent_sampling=False), distributions)

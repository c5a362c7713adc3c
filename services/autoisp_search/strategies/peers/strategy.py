"""A strategy that asks Optuna, as a careful user of Optuna would."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import optuna
from autoisp_core.spec import Spec, SpecError, canonical_hash
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import Trial, TrialState, create_trial

from autoisp_search.strategies.base import SpaceExhaustedError, Task, TrialOutcome
from autoisp_search.strategies.peers.parameters import SpecParameters
from autoisp_search.strategies.peers.samplers import Distributions

optuna.logging.set_verbosity(optuna.logging.ERROR)

_CONSTRAINT = "budget"
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Peer:
    """How one of Optuna's samplers is used.

    Attributes:
        sampler: makes it from a seed, the parameters, and the number of objectives.
        attempts: how often it is asked again when what it proposes can't be trained.
        asks_again: whether a rebuilt study asks it for every trial again, rather than only entering them. It
            then knows what was refused, and the values of parameters that the network does not use.
        prior_marks: what an earlier search's trial needs for the sampler to see it.
    """

    sampler: Callable[[int, Distributions, int], BaseSampler]
    attempts: int
    asks_again: bool = True
    prior_marks: Mapping[str, int] | None = None


class OptunaStrategy:
    """One study. What its sampler proposes twice or over the budget is refused, and it is asked again.

    A refused proposal becomes a pruned trial with the budget's violation as its constraint, which TPE learns
    from. When the sampler has nothing else to propose, a random draw takes its place.
    """

    def __init__(self, task: Task, peer: Peer) -> None:
        self._task = task
        self._peer = peer
        self._parameters = SpecParameters(task.budget.space)
        self._study = optuna.create_study(directions=["minimize"] * len(task.objectives))
        self._numbers: dict[str, int] = {}
        for spec, result in task.prior:
            self._learn_prior(spec, result)

    def ask(self, ordinal: int) -> Spec:
        """See :meth:`Strategy.ask`."""
        rng = random.Random(f"{self._task.seed}:{ordinal}")
        seed = rng.getrandbits(31)
        self._study.sampler = self._peer.sampler(seed, self._parameters.distributions, self._objectives)
        refused: list[Trial] = []
        spec = self._proposed(refused) or self._drawn(rng)
        # Refused trials run to the end of the ask: samplers keep away from what is running. If it comes to
        # nothing they fail, which teaches nothing: such an ask must leave no trace.
        for trial in refused:
            self._study.tell(trial, state=TrialState.FAIL if spec is None else TrialState.PRUNED)
        if spec is None:
            raise SpaceExhaustedError
        return spec

    def tell(self, spec: Spec, result: TrialOutcome) -> None:
        """See :meth:`Strategy.tell`. A study has one value for each trial: that of the first rung."""
        if result.seconds_per_megapixel:
            self._task.budget.measured(spec, result.seconds_per_megapixel)
        if result.rung:
            return
        number, point = self._numbers[canonical_hash(spec)], self._task.point(spec, result)
        if point is not None:
            self._study.tell(number, point)
        else:
            self._study.tell(number, state=TrialState.PRUNED if result.pruned else TrialState.FAIL)

    def replay(self, ordinal: int, spec: Spec, spec_hash: str) -> None:
        """See :meth:`Strategy.replay`."""
        if self._peer.asks_again:
            try:
                if canonical_hash(self.ask(ordinal)) == spec_hash:
                    return
            except SpaceExhaustedError:
                pass
        if spec_hash not in self._numbers:
            self._enter(spec)

    def figures(self) -> Mapping[str, float]:
        """See :meth:`Strategy.figures`: nothing."""
        return {}

    @property
    def _objectives(self) -> int:
        return len(self._task.objectives)

    def _proposed(self, refused: list[Trial]) -> Spec | None:
        """What the sampler proposes and can be trained; what can't joins ``refused``."""
        for _ in range(self._peer.attempts):
            trial = self._study.ask(self._parameters.distributions)
            spec = self._parameters.spec(trial.params)
            if self._acceptable(spec):
                if self._peer.asks_again:
                    self._numbers[canonical_hash(spec)] = trial.number
                else:
                    self._study.tell(trial, state=TrialState.FAIL)
                    self._enter(spec)
                return spec
            trial.set_constraint(_CONSTRAINT, self._task.budget.share(spec) - 1)
            refused.append(trial)
        return None

    def _drawn(self, rng: random.Random) -> Spec | None:
        """A random spec that can be trained."""
        budget = self._task.budget
        for _ in range(_DRAWS):
            try:
                spec = budget.sample(rng, budget.least_share() ** rng.random())
            except SpecError:
                return None
            if self._acceptable(spec):
                self._enter(spec)
                return spec
        return None

    def _acceptable(self, spec: Spec) -> bool:
        return self._task.budget.allows(spec) and canonical_hash(spec) not in self._numbers

    def _enter(self, spec: Spec) -> None:
        """Makes a running trial of a spec that the sampler did not choose."""
        sampler, self._study.sampler = self._study.sampler, RandomSampler(seed=0)
        if self._peer.asks_again:
            self._study.sampler = sampler  # it may mark its trials, as NSGA-II does with their generation
        self._study.enqueue_trial(self._parameters.values(spec))
        trial = self._study.ask(self._parameters.distributions)
        self._numbers[canonical_hash(spec)] = trial.number
        self._study.sampler = sampler

    def _learn_prior(self, spec: Spec, result: TrialOutcome) -> None:
        point = self._task.point(spec, result)
        if point is None or result.rung or not self._task.budget.space.contains(spec):
            return
        self._study.add_trial(
            create_trial(
                params=self._parameters.values(spec),
                distributions=self._parameters.distributions,
                values=point,
                system_attrs=dict(self._peer.prior_marks or {}),
            )
        )

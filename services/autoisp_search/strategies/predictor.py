"""The default strategy: a predictor of performance proposes what deserves to be trained.

The idea is Faster BlockQNN's (Zhong, Yang, Deng, Yan, Wu, Shao, Liu: "BlockQNN: Efficient Block-wise Neural
Network Architecture Generation", arXiv 1808.05584). Their predictor becomes a Gaussian process, which needs
tens of results and knows how sure it is; their greedy choice becomes the expected gain of the front.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from autoisp_core.spec import Spec, SpecError, canonical_hash, cost

from autoisp_search.domain import Objective
from autoisp_search.fronts import best_first
from autoisp_search.strategies.base import BudgetedStrategy, Task, TrialOutcome
from autoisp_search.strategies.budgets import Budget, MacBudget
from autoisp_search.strategies.latency import LatencyModel
from autoisp_search.strategies.predictor_candidates import Candidates, all_of
from autoisp_search.strategies.predictor_features import features
from autoisp_search.strategies.predictor_gain import expected_gain, staircase
from autoisp_search.strategies.predictor_model import Inputs, Posterior, Scaling, fitted
from autoisp_search.strategies.predictor_results import KEPT, Result, Results, Units

Array = npt.NDArray[np.float64]

_LEAST_WARM_UP, _MOST_WARM_UP, _WARM_UP_SHARE = 4, 10, 0.1
_SPREAD_OUT_OF = 24
"""Candidates of which the warm-up takes the one that is most unlike all before."""

_SCALED_BY = 64
_DRAWS, _CHILDREN, _PARENTS = 8, 72, 16
"""Candidates in a large space: anywhere, and near the best. A draw takes as long as five changes."""

_MOST_PREDICTED, _MOST_TIMED = 1_500, 300
"""Candidates in a small space; fewer where the time of each is predicted too."""

_REFIT_GROWTH, _LEAST_MORE = 1.2, 4
_FLOOR_QUANTILE = 0.1
_FITTED_TO = 192
"""Results that hyperparameters are found from: time grows with the cube of their number."""

_LEAST_AIMED_AT = 4

_JUDGED = 256
_LEAST_JUDGED = 4


@dataclass(frozen=True)
class _Fit:
    """Hyperparameters, the units they were found in, and how many results were told by then."""

    theta: Array
    units: Units
    told: int


class PredictorStrategy(BudgetedStrategy):
    """Spreads out at first, then trains what is expected to move the front most.

    What it knows follows from the results told so far, and what it proposes from that, the specs in training
    and the ordinal. Specs in training count as if they had come out as predicted.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._warm_up = round(min(_MOST_WARM_UP, max(_LEAST_WARM_UP, _WARM_UP_SHARE * task.planned)))
        self._results = Results()
        self._pending: dict[str, Spec] = {}
        self._latency = LatencyModel()
        self._learned = 0
        self._fit: _Fit | None = None
        self._judged: deque[tuple[float, float]] = deque(maxlen=_JUDGED)
        # Arithmetic is counted once for all; what is predicted of time changes with every measurement.
        self._timed = not isinstance(task.budget, MacBudget) or Objective.LATENCY in task.objectives
        self._members = _allowed(task.budget)
        self._scaling = Scaling.of((self._members or self._sampled()).parts)

    def replay(self, ordinal: int, spec: Spec, spec_hash: str) -> None:
        """See :meth:`Strategy.replay`."""
        super().replay(ordinal, spec, spec_hash)
        self._pending[spec_hash] = spec

    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """Takes note of a result of any fidelity; a failure counts as the worst seen: its like may fail."""
        spec_hash = canonical_hash(spec)
        self._pending.pop(spec_hash, None)
        self._learned += 1
        if result.seconds_per_megapixel:
            self._latency.measured(spec, result.seconds_per_megapixel)
        quality = result.psnr_db
        if quality is None and not result.pruned and len(self._results):
            quality = float(self._results.qualities().min())
        if quality is None:
            return
        # Earlier searches had other networks to train for other times: their results are a fidelity apart.
        earlier = self._learned <= len(self.task.prior)
        fidelity = -1 - result.rung if earlier else result.rung
        costs = self._paid(spec, result.seconds_per_megapixel)
        self._results.add(Result(spec, features(spec), fidelity, quality, costs))
        known = self._results.told
        due = (
            max(_REFIT_GROWTH * self._fit.told, self._fit.told + _LEAST_MORE) if self._fit else self._warm_up
        )
        if known >= due:
            self._judged.extend(self._foretold())
            self._refit()

    def propose(self, rng: random.Random) -> Spec:
        """See :meth:`BudgetedStrategy.propose`."""
        candidates = self._candidates(rng)
        if self._fit is None or self._results.told < self._warm_up:
            return self._unlike(candidates, rng)
        gains = self._gains(self._fit, candidates, rng)
        return candidates.specs[int(np.argmax(gains))]

    def figures(self) -> Mapping[str, float]:
        """Spearman's correlation of qualities with what was predicted before they were known."""
        judged = [*self._judged, *self._foretold()][-_JUDGED:]
        if len(judged) < _LEAST_JUDGED:
            return {}
        predicted, actual = np.array(judged).T
        return {"rank_correlation": rank_correlation(predicted, actual)}

    def _gains(self, fit: _Fit, candidates: Candidates, rng: random.Random) -> Array:
        posterior, fidelity = self._posterior(fit), self._fidelity()
        pending = Candidates.of(list(self._pending.values())) if self._pending else None
        known = self._scaled(self._results.parts(), fidelity)
        if pending is not None:
            waiting = self._scaled(pending.parts, fidelity)
            posterior = posterior.believing(waiting)
            known = known.and_also(waiting)
        worth, _ = posterior.predict(known)
        means, spreads = posterior.predict(self._scaled(candidates.parts, fidelity))
        mix = self._mix(rng)
        costs = self._costs(candidates) @ mix
        paid = np.array([result.costs for result in self._results.kept]) @ mix
        if pending is not None:
            paid = np.concatenate([paid, self._costs(pending) @ mix])
        floor = float(np.quantile(worth, _FLOOR_QUANTILE))
        edge = float(max(costs.max(), paid.max())) + 0.1
        front = staircase(paid, worth, floor)
        gains = expected_gain(costs, means, spreads, front=front, floor=floor, edge=edge)
        return gains + 1e-12 * (means + spreads)

    def _candidates(self, rng: random.Random) -> Candidates:
        """New specs within the budget.

        Raises:
            SpecError: there is none.
        """
        pool = self._members or Candidates.of(self._around(rng))
        new = [index for index, spec_hash in enumerate(pool.hashes) if spec_hash not in self._asked]
        most = _MOST_TIMED if self._timed else _MOST_PREDICTED
        some = sorted(rng.sample(new, most)) if len(new) > most else new
        if self._timed:
            # Where few keep the budget a sample may have none of them, which is no reason to give up.
            some = self._affordable(pool, some) or self._affordable(pool, new)[:most]
        if not some:
            raise SpecError("space", "every network of the space within the budget was tried")
        return pool.only(some)

    def _affordable(self, pool: Candidates, indices: list[int]) -> list[int]:
        return [index for index in indices if self.budget.share(pool.specs[index]) <= 1]

    def _around(self, rng: random.Random) -> list[Spec]:
        """Draws from anywhere and, once there is something to be near to, small changes of the best."""
        specs = [self.draw(rng) for _ in range(_DRAWS)]
        kept = self._results.kept
        if self._fit is not None:
            order = best_first([(-result.quality, *result.costs) for result in kept])
            parents = [kept[index].spec for index in order[:_PARENTS]]
            specs += [self.vary(rng.choice(parents), rng) for _ in range(_CHILDREN)]
        return specs

    def _unlike(self, candidates: Candidates, rng: random.Random) -> Spec:
        """Of a few candidates the one farthest from all that was asked."""
        drawn = rng.sample(range(len(candidates.specs)), min(_SPREAD_OUT_OF, len(candidates.specs)))
        known = [result.spec for result in self._results.kept] + list(self._pending.values())
        if not known:
            return candidates.specs[drawn[0]]
        fidelity = self._fidelity()
        few = np.hstack(self._scaled(candidates.only(drawn).parts, fidelity).parts)
        taken = np.hstack(self._scaled(Candidates.of(known).parts, fidelity).parts)
        nearest = ((few[:, None] - taken) ** 2).sum(2).min(1)
        return candidates.specs[drawn[int(np.argmax(nearest))]]

    def _refit(self) -> None:
        inputs, qualities = self._told(), self._results.qualities()
        units = Units.of(qualities)
        some = np.arange(0, len(qualities), -(-len(qualities) // _FITTED_TO))
        theta = fitted(inputs.only(some), units(qualities[some]), self._fit.theta if self._fit else None)
        self._fit = _Fit(theta, units, self._results.told)

    def _posterior(self, fit: _Fit) -> Posterior:
        return Posterior(fit.theta, self._told(), fit.units(self._results.qualities()))

    def _foretold(self) -> list[tuple[float, float]]:
        """Predicted and actual quality of each result since the last fit, from those before it alone."""
        if self._fit is None or self._results.told == self._fit.told:
            return []
        since = min(self._results.told - self._fit.told, KEPT // 2)
        predicted = self._fit.units.decibels(self._posterior(self._fit).foretold[-since:])
        labels = Counter(result.fidelity for result in self._results.kept if result.fidelity >= 0)
        fidelity = max(labels, key=lambda label: (labels[label], -label), default=0)
        return [
            (float(guess), result.quality)
            for guess, result in zip(predicted, self._results.kept[-since:], strict=True)
            if result.fidelity == fidelity
        ]

    def _told(self) -> Inputs:
        return self._scaling(self._results.parts(), self._results.fidelities())

    def _scaled(self, parts: Sequence[Array], fidelity: int) -> Inputs:
        return self._scaling(parts, np.full(len(parts[0]), fidelity))

    def _sampled(self) -> Candidates:
        rng = random.Random(f"{self.task.seed}:scale")
        return Candidates.of([self.draw(rng) for _ in range(_SCALED_BY)])

    def _fidelity(self) -> int:
        """The longest training that enough results tell of: there networks have to be good."""
        labels = Counter(result.fidelity for result in self._results.kept)
        told = [label for label, count in labels.items() if label >= 0 and count >= _LEAST_AIMED_AT]
        return max(told, default=0)

    def _costs(self, candidates: Candidates) -> Array:
        """(n, costs) logarithm of each cost among the objectives; time is predicted."""
        columns: list[Array] = []
        for objective in self.task.objectives:
            if objective is Objective.MACS:
                columns.append(candidates.log_macs)
            elif objective is Objective.LATENCY:
                columns.append(np.log([self._latency.predict(spec) for spec in candidates.specs]))
        return np.stack(columns, axis=1) if columns else np.zeros((len(candidates.specs), 0))

    def _paid(self, spec: Spec, seconds: float | None) -> tuple[float, ...]:
        """As above for one trained spec, with its own time where that was measured."""
        values = {
            Objective.MACS: cost(spec).macs_per_pixel,
            Objective.LATENCY: seconds or self._latency.predict(spec),
        }
        return tuple(math.log(values[name]) for name in self.task.objectives if name in values)

    def _mix(self, rng: random.Random) -> Array:
        """Weights of the costs; of two costs random ones, so that in time the whole front gets its turn."""
        count = len(self.task.objectives) - 1
        weights = np.array([rng.random() for _ in range(count)])
        return np.asarray(weights / weights.sum() if count > 1 else np.ones(count))


def _allowed(budget: Budget) -> Candidates | None:
    """All members of a small space, less those that are known for good to be over the budget."""
    pool = all_of(budget.space)
    if pool is None or not isinstance(budget, MacBudget):
        return pool
    return pool.only([index for index, spec in enumerate(pool.specs) if budget.share(spec) <= 1])


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's; 0 where one of both never changes."""
    ranks = [np.searchsorted(np.sort(values), values) + _ties(values) for values in (one, other)]
    a, b = (rank - rank.mean() for rank in ranks)
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def _ties(values: Array) -> Array:
    """Half the number of others with the same value."""
    return np.asarray(((values[:, None] == values).sum(1) - 1) / 2)

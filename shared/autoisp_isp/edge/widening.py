"""Finds out which activations need 16 bits: from what each of them loses in shadows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

Measure = Callable[[Collection[str], Collection[str]], float]
"""What is lost in dB with these activations in 16 bits and these convolutions in float32."""


@dataclass(frozen=True)
class Precision:
    """What is kept more precise than 8 bits.

    Attributes:
        wide: activations in 16 bits.
        exact: convolutions in float32.
        loss_db: in shadows, with that.
        narrow_loss_db: in shadows, with 8 bits everywhere.
    """

    wide: tuple[str, ...]
    exact: tuple[str, ...]
    loss_db: float
    narrow_loss_db: float


def choose(
    places: Sequence[str], convolutions: Sequence[str], measure: Measure, *, target_db: float, at_most: int
) -> Precision:
    """The fewest activations to widen, so that no more than the target is lost.

    Quantisation errors of different places add up like noise, so what each of them loses alone, all others
    being wide, says how much it weighs; the heaviest are widened first. Where that is not enough, the 8-bit
    weights are at fault: then whole convolutions stay float32, those first that gain most by it.

    Args:
        places: activations.
        convolutions: with int8 weights.
        measure: is called about as often as there are places and convolutions.
        target_db: loss that is allowed.
        at_most: calls of `measure`; when they are used up, the rest is decided by order alone: what comes
            first and last in the graph is widened first.
    """
    budget = _Budget(measure, at_most)
    narrow = budget.loss((), ())
    if narrow <= target_db:
        return Precision((), (), narrow, narrow)
    everything = budget.loss(places, ())
    if everything <= target_db:
        ranked = budget.ranked(places, lambda one: budget.loss([p for p in places if p != one], ()))
        count, loss = budget.fewest(ranked, lambda chosen: budget.loss(chosen, ()), target_db, everything)
        wide = set(ranked[:count])
        return Precision(tuple(place for place in places if place in wide), (), loss, narrow)
    ranked = budget.ranked(convolutions, lambda one: -budget.loss(places, [one]))
    all_exact = budget.loss(places, convolutions)
    count, loss = budget.fewest(ranked, lambda chosen: budget.loss(places, chosen), target_db, all_exact)
    exact = set(ranked[:count])
    return Precision(tuple(places), tuple(name for name in convolutions if name in exact), loss, narrow)


class _Budget:
    """Calls of a measure, counted."""

    def __init__(self, measure: Measure, at_most: int) -> None:
        self._measure, self._left = measure, at_most

    def loss(self, wide: Collection[str], exact: Collection[str]) -> float:
        self._left -= 1
        return self._measure(wide, exact)

    def ranked(self, names: Sequence[str], weight: Callable[[str], float]) -> list[str]:
        """The heaviest first; those that there were no calls left for come after, from the ends inwards."""
        last = len(names) - 1
        outermost = sorted(names, key=lambda name: min(names.index(name), last - names.index(name)))
        reserve = len(names).bit_length() + 1
        weights = {name: weight(name) for name in outermost[: max(1, self._left - reserve)]}
        rest = [name for name in outermost if name not in weights]
        return [*sorted(weights, key=lambda name: weights[name], reverse=True), *rest]

    def fewest(
        self,
        ranked: Sequence[str],
        loss: Callable[[Sequence[str]], float],
        target_db: float,
        all_of_them: float,
    ) -> tuple[int, float]:
        """How many of the first suffice, by bisection, and what is lost with them."""
        low, high, best = 0, len(ranked), all_of_them
        while high - low > 1:
            middle = (low + high) // 2
            lost = loss(ranked[:middle])
            if lost <= target_db:
                high, best = middle, lost
            else:
                low = middle
        return high, best

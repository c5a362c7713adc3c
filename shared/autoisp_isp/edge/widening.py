"""Finds out which activations need 16 bits: from what each of them loses in shadows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

Measure = Callable[[Collection[str], Collection[str]], float]
"""What is lost in dB with these activations, and the weights of these convolutions, in 16 bits."""

_WEIGHTS_SHARE = 0.5
"""Of the loss that is allowed, so much may come from weights, once some have to have 16 bits."""


@dataclass(frozen=True)
class Precision:
    """What is kept more precise than 8 bits.

    Attributes:
        wide: activations in 16 bits.
        exact: convolutions whose weights have 16 bits.
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
    being wide, says how much it weighs; the heaviest are widened first, by bisection. Only where
    8-bit weights alone lose too much, the convolutions that gain most by it get weights of 16 bits, which few
    accelerators have.

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
    exact: tuple[str, ...] = ()
    if budget.loss(places, ()) > target_db:
        exact = _fewest(
            budget,
            convolutions,
            lambda chosen: budget.loss(places, chosen),
            lambda one: -budget.loss(places, [one]),
            target_db * _WEIGHTS_SHARE,
        )
    wide = _fewest(
        budget,
        places,
        lambda chosen: budget.loss(chosen, exact),
        lambda one: budget.loss([place for place in places if place != one], exact),
        target_db,
    )
    return Precision(wide, exact, budget.loss(wide, exact), narrow)


def _fewest(
    budget: _Budget,
    names: Sequence[str],
    loss: Callable[[Sequence[str]], float],
    weight: Callable[[str], float],
    target_db: float,
) -> tuple[str, ...]:
    """The fewest names, in their own order, with which no more is lost; all of them where that is too much.

    Args:
        loss: with some of them.
        weight: of one: how much it matters.
    """
    if not names or loss(()) <= target_db:
        return ()
    ranked = budget.ranked(names, weight)
    low, high = 0, len(ranked)
    while high - low > 1:
        middle = (low + high) // 2
        if loss(ranked[:middle]) <= target_db:
            high = middle
        else:
            low = middle
    chosen = set(ranked[:high])
    return tuple(name for name in names if name in chosen)


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

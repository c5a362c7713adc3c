"""The budget in MAC per pixel, also where only seconds are limited."""

from __future__ import annotations

from statistics import quantiles

from autoisp_core.spec import SearchSpace, cost

PRIOR_MACS_PER_SECOND = 15e9
"""What one thread of a present CPU does in ONNX Runtime with small networks; measurements soon replace it."""

_PIXELS = 1e6
_WINDOW = 24  # latest measurements that count: the walk through the space changes what is typical
_DECILE = 3  # of ten: most candidates then keep the budget, and few are far below it


class MacLimit:
    """How many MAC per pixel a candidate may have.

    Args:
        space: where candidates come from; the limit never falls below its cheapest member.
        macs: a limit in MAC per pixel, which then holds as it is.
        seconds: a limit in seconds per megapixel; the MACs that fit are estimated from measured trials.
    """

    def __init__(self, space: SearchSpace, *, macs: float | None, seconds: float | None) -> None:
        self._cheapest = cost(space.cheapest()).macs_per_pixel
        self._macs = macs
        self._seconds = seconds
        # Two votes for the prior: the first slow candidate alone must not halve the budget.
        self._rates = [PRIOR_MACS_PER_SECOND, PRIOR_MACS_PER_SECOND]

    @property
    def value(self) -> float:
        """MAC per output pixel."""
        if self._macs is not None:
            return max(self._macs, self._cheapest)
        if self._seconds is None:
            return float("inf")
        recent = self._rates[-_WINDOW:]
        rate = quantiles(recent, n=10, method="inclusive")[_DECILE - 1]
        return max(self._seconds * rate / _PIXELS, self._cheapest)

    def measured(self, macs_per_pixel: float, seconds_per_megapixel: float) -> None:
        """Learn from a candidate that was run."""
        self._rates.append(macs_per_pixel * _PIXELS / seconds_per_megapixel)

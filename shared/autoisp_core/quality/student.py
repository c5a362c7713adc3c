"""Quantiles of Student's t distribution, in plain Python."""

import math
from functools import lru_cache

_HALVINGS = 200


@lru_cache(maxsize=1024)
def t_quantile(level: float, freedom: int) -> float:
    """The value that a t variable of `freedom` degrees stays under with probability `level`.

    >>> round(t_quantile(0.975, 4), 3)
    2.776
    """
    if level == 0.5:
        return 0.0
    if level > 0.5:
        return -t_quantile(1.0 - level, freedom)
    low, high = -1.0, 0.0
    while t_probability(low, freedom) > level:
        low *= 2.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if t_probability(middle, freedom) > level:
            high = middle
        else:
            low = middle
    return (low + high) / 2.0


def t_probability(value: float, freedom: int) -> float:
    """P(T ≤ value), by the finite series for whole degrees of freedom (Abramowitz & Stegun 26.7.3–4)."""
    angle = math.atan2(value, math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    if freedom % 2:
        term, total = math.cos(angle), 0.0
        for step in range(1, freedom // 2 + 1):
            total += term
            term *= square * (2 * step) / (2 * step + 1)
        return 0.5 + (angle + sine * total) / math.pi
    term, total = 1.0, 0.0
    for step in range(1, freedom // 2 + 1):
        total += term
        term *= square * (2 * step - 1) / (2 * step)
    return 0.5 + sine * total / 2.0

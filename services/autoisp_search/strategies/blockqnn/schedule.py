"""How much BlockQNN explores, and how much it learns at once."""

from __future__ import annotations

BLOCKS_PER_ITERATION = 64
_STAGES = (
    (1.0, 95),
    *((epsilon, 7) for epsilon in (0.9, 0.8, 0.7)),
    *((epsilon, 10) for epsilon in (0.6, 0.5, 0.4, 0.3, 0.2)),
    (0.1, 12),
)
"""ε, and for how many iterations."""

ITERATIONS = sum(count for _, count in _STAGES)
"""178, of 64 blocks each: 11,392 blocks."""


def epsilon(iteration: int, iterations: int = ITERATIONS) -> float:
    """The share of random decisions in an iteration (from 0) out of so many: the paper's course, scaled.

    Past the last iteration it stays what it was in it.

    Example:
        >>> epsilon(94), epsilon(95), epsilon(177), epsilon(10, iterations=20)
        (1.0, 0.9, 0.1, 0.9)
    """
    end = 0
    for value, count in _STAGES:
        end += count
        if iteration * ITERATIONS < end * iterations:
            return value
    return _STAGES[-1][0]


def iteration_size(planned: int) -> int:
    """Blocks per iteration for so many trials: the paper's 64 for its 11,392, one for fewer than 356."""
    return max(1, planned // ITERATIONS)

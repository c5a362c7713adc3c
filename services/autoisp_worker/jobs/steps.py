"""The steps of jobs, as spans and as times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoisp_runtime.telemetry import metrics, spans
from opentelemetry.trace import Span


@contextmanager
def step(name: str, **attributes: str | int | float) -> Iterator[Span]:
    """Do the body as one step of the job in work.

    Args:
        name: one of few: it is a label of a metric.
        attributes: of the span, under ``autoisp.``.
    """
    prefixed = {f"autoisp.{key}": value for key, value in attributes.items()}
    with metrics.WORKER_STEP_SECONDS.labels(name).time(), spans.span(name, prefixed) as span:
        yield span


class TrainingThroughput:
    """Counts a training's steps and pixels as its progress tells them.

    Args:
        pixels: of developed pictures, a step.
    """

    def __init__(self, pixels: int) -> None:
        self._pixels = pixels
        self._counted = 0

    def resumed(self, step: int) -> None:
        """The training begins after ``step`` steps of an earlier attempt."""
        self._counted = step

    def reached(self, step: int) -> None:
        """So many steps are done."""
        new = max(0, step - self._counted)
        self._counted = step
        metrics.TRAINING_STEPS.inc(new)
        metrics.TRAINING_PIXELS.inc(new * self._pixels)

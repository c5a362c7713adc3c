"""What a gate looks at: the metrics of subjects frame by frame, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from autoisp_core.quality.comparison import Values
from autoisp_core.quality.estimate import DrawnMeans
from autoisp_core.quality.metric import METRICS, Direction


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a subject that has no frames.

    Attributes:
        name: for programs and gates.
        unit: "" for a plain number.
        direction: which way is better.
        of_baseline: whether it already is a comparison with the baseline.
    """

    name: str
    unit: str
    direction: Direction
    of_baseline: bool = False

    def improvement(self, value: float, reference: float) -> float:
        """By how much `value` is better than `reference`, in the unit; negative: worse."""
        return value - reference if self.direction is Direction.HIGHER else reference - value


_DOWN = Direction.LOWER

COSTS = {
    cost.name: cost
    for cost in (
        Quantity("macs_per_pixel", "MAC", _DOWN),
        Quantity("parameters", "", _DOWN),
        Quantity("size_bytes", "B", _DOWN),
        Quantity("seconds_per_megapixel", "s", _DOWN),
        Quantity("state_bytes_per_pixel", "B", _DOWN),
        Quantity("bytes_per_pixel", "B", _DOWN),
        Quantity("peak_activation_bytes_per_pixel", "B", _DOWN),
        Quantity("latency_p50", "s", _DOWN),
        Quantity("latency_p95", "s", _DOWN),
        Quantity("latency_p99", "s", _DOWN),
        Quantity("peak_memory_bytes", "B", _DOWN),
        Quantity("latency_ratio", "×", Direction.HIGHER, of_baseline=True),
        Quantity("mac_ratio", "×", Direction.HIGHER, of_baseline=True),
    )
}
"""All costs by name. The ratios are the baseline's cost over the subject's."""

_RATIOS = {"latency_ratio": "seconds_per_megapixel", "mac_ratio": "macs_per_pixel"}


@dataclass(frozen=True)
class SubjectFigures:
    """What was measured of one subject.

    Attributes:
        metrics: by name, the finite values of frames.
        costs: by name, without ratios; what can't be told is left out.
    """

    metrics: Mapping[str, Values]
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Figures:
    """What was measured of all subjects, on the same frames.

    Attributes:
        subjects: by label.
        clips: names for people of the clips that every subject was judged on, by the names of `Values`.
        clips_wanted: how many were to be judged.
        seed: of intervals.
        drawn: makes, from a seed, what draws for `summarize`.
    """

    subjects: Mapping[str, SubjectFigures]
    clips: Mapping[str, str]
    clips_wanted: int
    seed: int = 0
    drawn: Callable[[int], DrawnMeans | None] = field(default=lambda seed: None)

    def cost(self, label: str, name: str, baseline: str) -> float | None:
        """A cost of a subject, or its ratio to that of the baseline; None where it was not measured."""
        own = self._costs(label).get(_RATIOS.get(name, name))
        if name not in _RATIOS:
            return own
        reference = self._costs(baseline).get(_RATIOS[name])
        return reference / own if own and reference is not None else None

    def values(self, label: str, metric: str) -> Values:
        """A metric of a subject; empty where it was not measured."""
        subject = self.subjects.get(label)
        return subject.metrics.get(metric, {}) if subject else {}

    def _costs(self, label: str) -> Mapping[str, float]:
        subject = self.subjects.get(label)
        return subject.costs if subject else {}


def quantity_names() -> tuple[str, ...]:
    """Everything that a gate can check: metrics, then costs."""
    return (*METRICS, *COSTS)

"""What a finished job came to: the services' messages, and the figures that people and programs ask for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp.search.v1 import search_pb2

from autoisp_cli.choice import Choice

PROTOTYPE, MODEL = "prototype", "model"
"""The labels of the two subjects of a search's evaluation."""


@dataclass(frozen=True)
class Outcome:
    """A finished search with its evaluation on the unseen clips and its registered version.

    Attributes:
        pictures: PNG bytes by SHA-256, as far as the evaluation's pictures could be fetched.
        inputs: name and shape of each input of the network, as ONNX Runtime tells them.
        settings: what was chosen, for people, in the order to show it.
        seconds: wall time of the whole job.
        resumed: whether an earlier run had begun the search.
    """

    search: search_pb2.Search
    trials: Sequence[search_pb2.Trial]
    evaluation: evaluation_pb2.Evaluation
    version: registry_pb2.ModelVersion
    dataset: ingest_pb2.Dataset
    clips: Mapping[str, ingest_pb2.Clip]
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    inputs: Mapping[str, Sequence[int | str]] = field(default_factory=dict)
    settings: Sequence[Choice] = ()
    command: str = ""
    seconds: float = 0.0
    resumed: bool = False
    onnx: Path | None = None

    def total(self, label: str) -> evaluation_pb2.SubjectResult:
        """The subject's mean over the test clips; an empty message if it was not judged."""
        return subject(self.evaluation.totals, label)

    @property
    def judged_clips(self) -> list[evaluation_pb2.ClipResult]:
        """The test clips that every subject was judged on: the totals are of those."""
        return [clip for clip in self.evaluation.clips if is_judged(clip)]

    @property
    def front(self) -> list[search_pb2.Trial]:
        """The trials that no other beats in all objectives, cheapest first."""
        trials = {trial.name: trial for trial in self.trials}
        return [trials[name] for name in self.search.pareto_trials if name in trials]

    @property
    def best_trial(self) -> search_pb2.Trial:
        """The trial whose network was evaluated and registered."""
        found = (trial for trial in self.trials if trial.name == self.search.best_trial)
        return next(found, search_pb2.Trial(name=self.search.best_trial))

    @property
    def passed(self) -> bool:
        """Whether the registry's gate let the version through."""
        return self.version.gate.passed

    @property
    def psnr_gain(self) -> float:
        """Decibels of the found network over the prototype on the unseen clips."""
        return self.total(MODEL).quality.psnr_db - self.total(PROTOTYPE).quality.psnr_db

    @property
    def mac_ratio(self) -> float | None:
        """Prototype's MAC per pixel over the network's; None if the prototype is opaque."""
        return macs_ratio(self.total(PROTOTYPE).cost, self.total(MODEL).cost)

    @property
    def latency_ratio(self) -> float | None:
        """Prototype's seconds per megapixel over the network's, one thread each."""
        ours = self.version.metrics.get("latency_ratio", 0.0)
        if ours > 0:
            return ours
        slow, fast = (self.total(label).cost.seconds_per_megapixel for label in (PROTOTYPE, MODEL))
        return slow / fast if slow > 0 and fast > 0 else None

    def verdict(self) -> str:
        """One line: what was found, and whether it is good enough."""
        ratio = self.mac_ratio
        if ratio is not None:
            cost = f"at 1/{whole(ratio)} of the prototype's arithmetic"
        elif self.latency_ratio is not None:
            cost = f"{whole(self.latency_ratio)}× faster than the prototype"
        else:
            cost = "within the budget"
        count = len(self.judged_clips)
        where = f"{self.psnr_gain:+.1f} dB on {count} unseen clip{'s' if count != 1 else ''}"
        if self.passed:
            return f"Found a network {cost}, {where}"
        return f"No network passed every check; the best is {cost}, {where}"


def is_judged(clip: evaluation_pb2.ClipResult) -> bool:
    """Whether the clip's figures are there and count."""
    return clip.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED


def failure_text(clip: evaluation_pb2.ClipResult) -> str | None:
    """Why a clip was not judged; None if it was."""
    if is_judged(clip):
        return None
    reason = clip.failure.reason or "UNKNOWN"
    return f"{reason}: {clip.failure.message}" if clip.failure.message else reason


def whole(ratio: float) -> str:
    """A ratio without decimals, rounded down: 99.6 is not yet 100."""
    return f"{math.floor(ratio):,}" if ratio >= 10 else f"{math.floor(ratio * 10) / 10:g}"


def subject(results: Sequence[evaluation_pb2.SubjectResult], label: str) -> evaluation_pb2.SubjectResult:
    """The result of one subject; an empty message if it is not there."""
    found = (result for result in results if result.label == label)
    return next(found, evaluation_pb2.SubjectResult(label=label))


def macs(cost: common_pb2.Cost) -> float | None:
    """MAC per output pixel, or None where they can't be counted."""
    return cost.macs_per_pixel if cost.HasField("macs_per_pixel") else None


def macs_ratio(slow: common_pb2.Cost, fast: common_pb2.Cost) -> float | None:
    """How many times fewer MAC per pixel ``fast`` needs."""
    first, second = macs(slow), macs(fast)
    return first / second if first and second else None

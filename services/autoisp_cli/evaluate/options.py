"""What the user wants judged, checked before anything is started."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoisp_client.subjects import SPLITS, onnx_file, subject_of
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import METRICS, metrics_named

from autoisp_cli.gate_file import gate_text
from autoisp_cli.paths import as_option, expanded, looked_at
from autoisp_cli.sensor_choice import SensorChoice

_NEEDS_MORE = frozenset({"vmaf"})
"""Metrics that not every worker can compute; ``all`` leaves them out."""


@dataclass(frozen=True)
class RunOptions:
    """The options of ``autoisp evaluations run``.

    Raises:
        InvalidArgumentError: one is wrong; ``field`` is the option (``--subject``).
    """

    dataset: str
    subjects: Sequence[str]
    split: str = "test"
    metrics: str | None = None
    gate: Path | None = None
    frames: int = 0
    sensor: SensorChoice = field(default_factory=SensorChoice)
    seed: int = 0
    again: bool = False

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise InvalidArgumentError(
                "--split", f"--split {self.split} is none; use one of {', '.join(SPLITS)}"
            )
        self.sources()
        self.metric_names()
        self.gate_text()
        # A profile on the server is asked for later.
        if not self.sensor.names_profile:
            self.sensor.message()

    def sources(self) -> dict[str, str]:
        """Label to source, as written."""
        if not self.subjects:
            raise InvalidArgumentError(
                "--subject", "say what to judge, as in --subject prototype=builtin:classical model=onnx:FILE"
            )
        found: dict[str, str] = {}
        for word in self.subjects:
            label, equals, source = word.partition("=")
            if not (label and equals and source):
                raise InvalidArgumentError(
                    "--subject", f"--subject {word}: write LABEL=SOURCE, as in model=onnx:network.onnx"
                )
            if label in found:
                raise InvalidArgumentError(
                    "--subject", f"--subject {word}: another subject is labelled {label!r}; rename one"
                )
            found[label] = self._source(word, label, source)
        return found

    def metric_names(self) -> list[str]:
        """Names of metrics; empty for the service's choice."""
        if self.metrics is None:
            return []
        if self.metrics == "all":
            return [name for name in METRICS if name not in _NEEDS_MORE]
        names = [name.strip() for name in self.metrics.split(",")]
        return [metric.name for metric in as_option("--metrics", lambda: metrics_named(names))]

    def gate_text(self) -> str:
        """The gate's TOML; empty without a gate."""
        return "" if self.gate is None else gate_text(self.gate)

    def _source(self, word: str, label: str, source: str) -> str:
        as_option("--subject", lambda: subject_of(label, source))
        if source.startswith("onnx:"):
            path = expanded("--subject", onnx_file(source))
            if not looked_at("--subject", path, Path.is_file):
                raise InvalidArgumentError("--subject", f"--subject {word}: no such file; check the path")
            return f"onnx:{path}"
        return source


def margins(words: Sequence[str]) -> dict[str, float]:
    """``psnr=0.1`` as metric and margin.

    Raises:
        InvalidArgumentError: one is no such pair, or no number from 0 on.
    """
    found: dict[str, float] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            margin = float(text)
        except ValueError:
            margin = math.nan
        if not (math.isfinite(margin) and margin >= 0):
            raise InvalidArgumentError(
                "--margin", f"--margin {word}: write METRIC=DIFFERENCE, as in psnr=0.1, from 0 on"
            )
        as_option("--margin", lambda name=name: metrics_named([name]))  # type: ignore[misc]
        found[name] = margin
    return found

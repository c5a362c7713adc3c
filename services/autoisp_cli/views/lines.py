"""Plain lines, for logs and pipes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import UploadProgress
from autoisp_core.errors import AutoISPError

from autoisp_cli.choice import Choice
from autoisp_cli.report.figures import duration
from autoisp_cli.tune.progress import SearchProgress
from autoisp_cli.views.base import STAGES
from autoisp_cli.views.transfer import progress_text
from autoisp_cli.views.words import (
    budget_text,
    choice_lines,
    cost_text,
    figures_text,
    front_text,
    lessons_text,
    result_lines,
    rungs_text,
    trial_line,
)

_EVERY_SECONDS = 15.0


class LineView:
    """One line per thing that happens, with the time since the start."""

    def __init__(self, write: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:
        self._write = write
        self._start = time.monotonic()
        self._last_summary = 0.0
        self._last_upload = self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def plan(self, choices: Sequence[Choice]) -> None:
        for line in choice_lines(choices):
            self._write(line)

    def stage(self, key: str, detail: str = "") -> None:
        self._say(STAGES[key] + (f": {detail}" if detail else ""))

    def note(self, text: str) -> None:
        self._say(text)

    def upload(self, name: str, progress: UploadProgress) -> None:
        now = time.monotonic()
        if now - self._last_upload > _EVERY_SECONDS:
            self._last_upload = now
            self._say(progress_text(name, progress))

    def profiled(self, search: search_pb2.Search) -> None:
        profile = search.prototype_profile
        self._say(f"prototype: {profile.quality.psnr_db:.2f} dB, {cost_text(profile.cost)}")
        if lessons := lessons_text(profile):
            self._say(f"the prototype teaches: {lessons}")
        self._say(f"budget: {budget_text(search)}")

    def search(self, progress: SearchProgress, ended: search_pb2.Trial | None) -> None:
        now = time.monotonic()
        if ended is not None:
            self._say(trial_line(ended))
        elif (
            progress.search.state == search_pb2.SEARCH_STATE_RUNNING
            and now - self._last_summary > _EVERY_SECONDS
        ):
            self._last_summary = now
            left = progress.seconds_left()
            pruned = progress.count(search_pb2.TRIAL_STATE_PRUNED)
            self._say(
                f"{progress.fraction:.0%} of the training, trials by rung {rungs_text(progress.rungs())}, "
                f"{pruned} pruned" + (f", {duration(left)} left" if left is not None else "")
            )
            if front := progress.front():
                self._say(f"front: {front_text(front)}")
            if figures := figures_text(progress.search.strategy_figures):
                self._say(f"{progress.search.strategy}: {figures}")

    def evaluation(self, evaluation: evaluation_pb2.Evaluation) -> None:
        done = sum(c.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED for c in evaluation.clips)
        self._say(f"{done} of {len(evaluation.clips)} unseen clips judged")

    def result(self, figures: Mapping[str, Any], folder: Path) -> None:
        self._say(figures["verdict"])
        for line in result_lines(figures):
            self._say(line)
        self._say(f"report: {folder / 'index.html'}")

    def error(self, error: AutoISPError) -> None:
        return None

    def _say(self, text: str) -> None:
        self._write(f"[{time.monotonic() - self._start:6.1f} s] {text}")

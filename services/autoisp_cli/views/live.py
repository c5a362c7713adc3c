"""The live view of a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import UploadProgress
from autoisp_core.errors import AutoISPError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autoisp_cli.choice import Choice
from autoisp_cli.report.figures import duration, number
from autoisp_cli.tune.progress import SearchProgress
from autoisp_cli.views.base import STAGES
from autoisp_cli.views.transfer import progress_text
from autoisp_cli.views.words import (
    budget_text,
    cost_text,
    figures_text,
    front_text,
    lessons_text,
    objectives_text,
    result_lines,
    rungs_text,
    spec_text,
)

_BLOCKS = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH = 40
_SHOWN_TRIALS = 5


class LiveView:
    """Stages with their state; of the search also a bar, the best trials and the time left."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._start = time.monotonic()
        self._stage = ""
        self._stage_start = self._start
        self._took: dict[str, float] = {}
        self._details: dict[str, str] = {}
        self._progress: SearchProgress | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._ended = False
        self._last_words: list[Text] = []
        """Shown below everything, when the live part stands still."""
        # Last: it renders at once.
        self._live = Live(console=self._console, get_renderable=self.render, refresh_per_second=6)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._live.stop()
        for line in self._last_words:
            self._console.print(line)

    def plan(self, choices: Sequence[Choice]) -> None:
        table = Table.grid(padding=(0, 2))
        for choice in choices:
            name, why = Text(choice.name, style="dim"), Text(choice.why, style="dim")
            # As text: in a plain string, brackets of a path would be markup.
            table.add_row(name, Text(choice.value), why, Text(choice.option, style="cyan"))
        self._live.console.print(Padding(table, (1, 0, 1, 1)))

    def stage(self, key: str, detail: str = "") -> None:
        now = time.monotonic()
        if key == self._stage:
            self._details[key] = detail
            return
        if self._stage:
            self._took[self._stage] = now - self._stage_start
        self._stage, self._stage_start = key, now
        self._details[key] = detail

    def note(self, text: str) -> None:
        self._live.console.print(Text(f" {text}", style="dim"))

    def upload(self, name: str, progress: UploadProgress) -> None:
        self._details["upload"] = progress_text(name, progress)

    def profiled(self, search: search_pb2.Search) -> None:
        profile = search.prototype_profile
        parts = (f"{profile.quality.psnr_db:.2f} dB", cost_text(profile.cost), lessons_text(profile))
        self._details["profile"] = ", ".join(filter(None, parts))
        self._details["search"] = f"budget {budget_text(search)}"

    def search(self, progress: SearchProgress, ended: search_pb2.Trial | None) -> None:
        self._progress = progress

    def evaluation(self, evaluation: evaluation_pb2.Evaluation) -> None:
        done = sum(c.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED for c in evaluation.clips)
        self._details["evaluate"] = f"{done} of {len(evaluation.clips)}"

    def result(self, figures: Mapping[str, Any], folder: Path) -> None:
        self._took[self._stage] = time.monotonic() - self._stage_start
        self._stage = ""
        style = "bold green" if figures["passed"] else "bold yellow"
        self._last_words = [Text(f" {figures['verdict']}", style=style)]
        self._last_words += [Text(f"   {line}") for line in result_lines(figures)]
        self._last_words.append(Text(f"   report: {folder / 'index.html'}\n"))

    def error(self, error: AutoISPError) -> None:
        self._details[self._stage] = "failed"

    def render(self) -> RenderableType:
        """The live part as it is now."""
        return Group(*self._rows(), Text())

    def _rows(self) -> Iterator[RenderableType]:
        for key, name in STAGES.items():
            detail = self._details.get(key, "")
            if key in self._took:
                words = [detail, duration(self._took[key])]
                yield Text.assemble((" ✔ ", "green"), name, *(("  " + word, "dim") for word in words if word))
            elif key == self._stage:
                row = Table.grid()
                mark: RenderableType = Text(" ■ ", style="yellow") if self._ended else self._mark()
                row.add_row(mark, Text.assemble((name, "bold"), ("  " + detail, "dim")))
                yield row
                if key == "search" and self._progress is not None:
                    yield Padding(Group(*self._search(self._progress)), (0, 0, 0, 3))
            else:
                yield Text(f" ○ {name}", style="dim")

    def _mark(self) -> RenderableType:
        return Padding(self._spinner, (0, 1, 0, 1))

    def _search(self, progress: SearchProgress) -> Iterator[RenderableType]:
        left = progress.seconds_left()
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=1.0, completed=progress.fraction, width=_SPARK_WIDTH, complete_style="cyan")
        since = duration(time.monotonic() - self._stage_start)
        ahead = f"{duration(left)} left" if left is not None else since
        line.add_row(bar, f"{progress.fraction:4.0%}", Text(ahead, style="dim"))
        yield line
        counts = f"trials by rung {rungs_text(progress.rungs())}"
        if pruned := progress.count(search_pb2.TRIAL_STATE_PRUNED):
            counts += f", {pruned} over budget"
        yield Text(counts, style="dim")
        search = progress.search
        told = f"{search.strategy} for {objectives_text(search)}"
        if figures := figures_text(search.strategy_figures):
            told += f": {figures}"
        yield Text(told, style="dim")
        if progress.history:
            yield Text.assemble(
                (sparkline(progress.history), "cyan"), (f"  best {progress.history[-1]:.2f} dB", "bold")
            )
            yield self._best(progress)
        if front := progress.front():
            yield Text(f"◆ of the front: {front_text(front)}", style="dim")

    def _best(self, progress: SearchProgress) -> Table:
        """The best trials; where a cost is an objective, those of the front: what it beats is no result."""
        front = progress.front()
        on_front = {trial.name for trial in front}
        wants_front = len(progress.search.objectives) > 1 and front
        shown = front[: -_SHOWN_TRIALS - 1 : -1] if wants_front else progress.best(_SHOWN_TRIALS)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for column, justify in (("trial", "left"), ("PSNR", "right"), ("vs prototype", "right")):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        for column in ("MAC/px", "ms/MP"):
            table.add_column(column, justify="right")
        table.add_column("network")
        baseline = progress.search.prototype_profile.quality.psnr_db
        for trial in shown:
            gain = trial.quality.psnr_db - baseline
            table.add_row(
                trial.name.rsplit("/", 1)[-1] + (" ◆" if trial.name in on_front else ""),
                f"{trial.quality.psnr_db:.2f}",
                Text(f"{gain:+.2f} dB", style="green" if gain >= 0 else "yellow"),
                number(trial.cost.macs_per_pixel),
                number(trial.cost.seconds_per_megapixel * 1e3),
                Text(spec_text(trial), style="dim"),
            )
        return table


def sparkline(values: list[float], width: int = _SPARK_WIDTH) -> str:
    """The last ``width`` values as blocks of rising height."""
    shown = values[-width:]
    low, high = min(shown), max(shown)
    steps = len(_BLOCKS) - 1
    return "".join(_BLOCKS[round((value - low) / ((high - low) or 1.0) * steps)] for value in shown)

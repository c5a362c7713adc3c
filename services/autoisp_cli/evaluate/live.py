"""A running evaluation on a terminal: a bar for each clip, and how the subjects do so far."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from autoisp.evaluation.v1 import evaluation_pb2
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autoisp_cli.evaluate.progress import ClipProgress, EvaluationProgress
from autoisp_cli.evaluate.views import EvaluationView, JsonView, LineView, progress_text
from autoisp_cli.report.evaluation import Judged
from autoisp_cli.report.evaluation.words import outcome_lines, verdict

_BAR_WIDTH = 28
_SHOWN_CLIPS = 12


def choose_view(*, json: bool) -> EvaluationView:
    """JSON if asked for, live on a terminal, else lines."""
    if json:
        return JsonView()
    return LiveView() if sys.stdout.isatty() else LineView()


class LiveView:
    """Bars while it runs; verdict and figures when it has ended."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._title = ""
        self._progress: EvaluationProgress | None = None
        self._last_words: list[Text] = []
        # Last: it renders at once.
        self._live = Live(console=self._console, get_renderable=self.render, refresh_per_second=6)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        for line in self._last_words:
            self._console.print(line, soft_wrap=True)

    def begun(self, evaluation: evaluation_pb2.Evaluation, *, resumed: bool) -> None:
        self._title = evaluation.name + (", begun before" if resumed else "")

    def progress(self, progress: EvaluationProgress, ended: Sequence[ClipProgress]) -> None:
        self._progress = progress

    def note(self, text: str) -> None:
        self._live.console.print(Text(f" {text}", style="dim"))

    def result(self, judged: Judged, folder: Path | None) -> None:
        style = "bold green" if judged.passed else "bold yellow"
        self._last_words = [Text(f" {verdict(judged)}", style=style)]
        self._last_words += [Text(f"   {line}") for line in outcome_lines(judged)]
        if folder is not None:
            self._last_words.append(Text(f"   report: {folder / 'index.html'}"))

    def render(self) -> RenderableType:
        """The live part as it is now."""
        rows: list[RenderableType] = [Text(f" {self._title}", style="bold")]
        progress = self._progress
        if progress is not None:
            rows.append(Padding(self._bars(progress), (0, 0, 0, 3)))
            means = ", ".join(f"{label} {mean:.2f} dB" for label, mean in progress.psnr())
            rows.append(Text(f"   {progress_text(progress)}", style="dim"))
            if means:
                rows.append(Text(f"   {means}", style="cyan"))
        return Group(*rows)

    def _bars(self, progress: EvaluationProgress) -> Table:
        table = Table.grid(padding=(0, 2))
        clips = list(progress.clips.values())
        if len(clips) > _SHOWN_CLIPS:
            # What moves is worth the room; the line below counts the others.
            clips = [clip for clip in clips if not clip.ended and clip.done][:_SHOWN_CLIPS]
        for clip in clips:
            failed = clip.state == evaluation_pb2.EVALUATION_STATE_FAILED
            style = "red" if failed else "green" if clip.ended else "cyan"
            bar = ProgressBar(1.0, clip.fraction, _BAR_WIDTH, complete_style=style, finished_style=style)
            of = f"{clip.frames}/{clip.wanted}" if clip.wanted and not clip.ended else f"{clip.frames}"
            psnr = [f"{label} {mean:.2f}" for label in progress.labels if (mean := clip.mean(label)) == mean]
            words = clip.failure if failed else "  ".join(psnr)
            share = Text(f"{clip.fraction:4.0%}")
            table.add_row(Text(clip.title), bar, share, Text(of, style="dim"), Text(words, style="dim"))
        return table

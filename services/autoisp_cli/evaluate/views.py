"""How a running evaluation is shown: plain lines, and JSON for machines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from autoisp.evaluation.v1 import evaluation_pb2

from autoisp_cli.evaluate.progress import ClipProgress, EvaluationProgress
from autoisp_cli.report.evaluation import Judged
from autoisp_cli.report.evaluation.document import document
from autoisp_cli.report.evaluation.words import outcome_lines, verdict
from autoisp_cli.report.figures import duration

_LINES_EVERY_SECONDS, _JSON_EVERY_SECONDS = 15.0, 2.0


class EvaluationView(Protocol):
    """Shows an evaluation. A context manager, so that a terminal is left as it was."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begun(self, evaluation: evaluation_pb2.Evaluation, *, resumed: bool) -> None:
        """It is there; ``resumed`` if an earlier run began it."""

    def progress(self, progress: EvaluationProgress, ended: Sequence[ClipProgress]) -> None:
        """It went on, or time did; ``ended`` are the clips that did so just now."""

    def note(self, text: str) -> None:
        """Something worth knowing happened."""

    def result(self, judged: Judged, folder: Path | None) -> None:
        """It has ended; ``folder`` is where the report is, if one was written."""


class _Plain:
    def __init__(self) -> None:
        self._start = time.monotonic()
        self._told = self._start

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def _due(self, every: float) -> bool:
        now = time.monotonic()
        if now - self._told < every:
            return False
        self._told = now
        return True


class LineView(_Plain):
    """One line per thing that happens, with the time since the start."""

    def __init__(self, write: Callable[[str], None] = lambda line: print(line, flush=True)) -> None:
        super().__init__()
        self._write = write

    def begun(self, evaluation: evaluation_pb2.Evaluation, *, resumed: bool) -> None:
        again = "again at" if resumed else "started"
        count = len(evaluation.clips)
        clips = f"{count} clip{'s' if count != 1 else ''}"
        self.note(f"{again} {evaluation.name}: {clips} of {evaluation.dataset}")

    def progress(self, progress: EvaluationProgress, ended: Sequence[ClipProgress]) -> None:
        for clip in ended:
            self.note(clip_text(clip, progress.labels))
        if self._due(_LINES_EVERY_SECONDS):
            self.note(progress_text(progress))

    def note(self, text: str) -> None:
        self._write(f"[{time.monotonic() - self._start:6.1f} s] {text}")

    def result(self, judged: Judged, folder: Path | None) -> None:
        for line in (verdict(judged), *outcome_lines(judged)):
            self.note(line)
        if folder is not None:
            self.note(f"report: {folder / 'index.html'}")


class JsonView(_Plain):
    """Events as ``{"event": …, "seconds": …, …}``, and the figures without each frame's values last."""

    def begun(self, evaluation: evaluation_pb2.Evaluation, *, resumed: bool) -> None:
        self._tell("begun", evaluation=evaluation.name, clips=len(evaluation.clips), resumed=resumed)

    def progress(self, progress: EvaluationProgress, ended: Sequence[ClipProgress]) -> None:
        for clip in ended:
            psnr = {label: _rounded(mean) for label in progress.labels if (mean := clip.mean(label)) == mean}
            self._tell("clip", clip=clip.title, failure=clip.failure or None, psnr_db=psnr)
        if ended or self._due(_JSON_EVERY_SECONDS):
            left = progress.seconds_left()
            self._tell(
                "progress",
                fraction=round(progress.fraction, 4),
                clips_done=progress.ended,
                clips=len(progress.clips),
                frames=progress.frames,
                frames_per_second=round(progress.frames_per_second, 2),
                seconds_left=None if left is None else round(left, 1),
                psnr_db={label: _rounded(mean) for label, mean in progress.psnr()},
            )

    def note(self, text: str) -> None:
        self._tell("note", text=text)

    def result(self, judged: Judged, folder: Path | None) -> None:
        report = str(folder) if folder is not None else None
        print(json.dumps({**document(judged, frames=False), "report": report}), flush=True)

    def _tell(self, event: str, **fields: Any) -> None:
        seconds = round(time.monotonic() - self._start, 3)
        print(json.dumps({"event": event, "seconds": seconds, **fields}), flush=True)


def clip_text(clip: ClipProgress, labels: Sequence[str]) -> str:
    """``carphone: prototype 28.40 dB, model 29.86 dB``, or why there is nothing."""
    means = ", ".join(f"{label} {mean:.2f} dB" for label in labels if (mean := clip.mean(label)) == mean)
    if clip.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED:
        return f"{clip.title}: {means or 'judged'}"
    word = evaluation_pb2.EvaluationState.Name(clip.state).rsplit("STATE_", 1)[-1].lower()
    return f"{clip.title}: {word}" + (f", {clip.failure}" if clip.failure else "")


def progress_text(progress: EvaluationProgress) -> str:
    """``42 %, 1 of 3 clips, 18.3 frames/s, 12 s left``."""
    parts = [f"{progress.fraction:.0%}", f"{progress.ended} of {len(progress.clips)} clips"]
    if rate := progress.frames_per_second:
        parts.append(f"{rate:.1f} frames/s")
    left = progress.seconds_left()
    if left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def _rounded(value: float) -> float:
    return round(value, 4)

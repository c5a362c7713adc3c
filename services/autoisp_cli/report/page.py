"""``index.html``: the report for people, one file with everything in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.spec import Spec, SpecError, has_dynamic

from autoisp_cli.report import block, charts, discovery, network, story
from autoisp_cli.report.figures import Row, comparison, duration, figure
from autoisp_cli.report.outcome import MODEL, PROTOTYPE, Outcome, failure_text, subject, whole
from autoisp_cli.report.result import trial_states
from autoisp_cli.report.snippet import snippet
from autoisp_cli.report.template import data_uri, fill

_KINDS = ("noisy", PROTOTYPE, MODEL, "truth")
_CAPTIONS = {"noisy": "Noisy input", PROTOTYPE: "Prototype", MODEL: "Found network", "truth": "Truth"}


@dataclass(frozen=True)
class Shot:
    """One crop: ``data`` is a data URI, ``psnr`` that of its whole frame."""

    kind: str
    caption: str
    data: str
    psnr: str


@dataclass(frozen=True)
class Strip:
    """The crops of one frame, side by side."""

    clip: str
    frame: int
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class ClipRow:
    """One test clip in the table; ``failure`` says why there are no figures."""

    name: str
    frames: int
    prototype: evaluation_pb2.SubjectResult
    model: evaluation_pb2.SubjectResult
    plot: str
    failure: str | None = None

    @property
    def gain(self) -> float:
        """Decibels of the found network over the prototype."""
        return self.model.quality.psnr_db - self.prototype.quality.psnr_db


def render(outcome: Outcome) -> str:
    """The page's HTML."""
    spec = _spec(outcome)
    rows: list[Row] = comparison(outcome)
    return fill(
        "page.html.j2",
        whole=whole,
        outcome=outcome,
        verdict=outcome.verdict(),
        checks=list(outcome.version.gate.checks),
        rows=rows,
        strips=list(_strips(outcome)),
        fronts=[
            chart for axis in charts.cost_axes(outcome.search) if (chart := charts.pareto(outcome, axis))
        ],
        discovery=discovery.draw(outcome),
        story=story.sentences(outcome),
        rungs=_rungs(outcome),
        states=trial_states(outcome.trials),
        clips=[_clip_row(clip) for clip in outcome.evaluation.clips],
        spec=spec,
        dynamic=spec is not None and has_dynamic(spec.block),
        network=network.draw(spec) if spec else "",
        block=block.draw(spec) if spec else "",
        snippet=snippet(outcome),
        lineage=_lineage(outcome),
        duration=duration(outcome.seconds),
    )


def _spec(outcome: Outcome) -> Spec | None:
    try:
        return Spec.from_json(outcome.version.spec or outcome.best_trial.spec)
    except SpecError:
        return None


def _rungs(outcome: Outcome) -> list[str]:
    names = []
    for rung in outcome.search.rungs:
        effort = f"{rung.steps:,} steps" if rung.HasField("steps") else f"{figure(rung.seconds)} s"
        names.append(f"{rung.trials} × {effort}")
    return names


def _strips(outcome: Outcome) -> Iterator[Strip]:
    for clip in outcome.evaluation.clips:
        frames = sorted({picture.frame for picture in clip.pictures})
        for frame in frames:
            pictures = {p.kind: p.png.sha256 for p in clip.pictures if p.frame == frame}
            shots = tuple(
                Shot(kind, _CAPTIONS[kind], data_uri(png), _frame_psnr(clip, kind, frame))
                for kind in _KINDS
                if (png := outcome.pictures.get(pictures.get(kind, "")))
            )
            if shots:
                yield Strip(clip.display_name or clip.clip, frame, shots)


def _frame_psnr(clip: evaluation_pb2.ClipResult, kind: str, frame: int) -> str:
    values = (item.quality.psnr_db for item in subject(clip.subjects, kind).frames if item.frame == frame)
    value = next(values, None)
    return "" if value is None else f"{value:.2f} dB"


def _clip_row(clip: evaluation_pb2.ClipResult) -> ClipRow:
    model, failure = subject(clip.subjects, MODEL), failure_text(clip)
    return ClipRow(
        clip.display_name or clip.clip,
        len(model.frames),
        subject(clip.subjects, PROTOTYPE),
        model,
        charts.frames(clip) if failure is None else "",
        failure,
    )


def _lineage(outcome: Outcome) -> list[tuple[str, str]]:
    return [
        ("Model version", outcome.version.name),
        ("ONNX SHA-256", outcome.version.onnx.sha256),
        ("Dataset", outcome.dataset.name),
        ("Search", outcome.search.name),
        ("Trial", outcome.search.best_trial),
        ("Evaluation", outcome.evaluation.name),
    ]

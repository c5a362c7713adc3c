"""Which pictures the page shows: every clip's, and the worst frames, as far as a page should carry them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality.metric import Metric

from autoisp_cli.report.evaluation.judged import Judged, clip_title, metric_named, value_at
from autoisp_cli.report.evaluation.words import metric_title, with_unit
from autoisp_cli.report.template import data_uri

T = TypeVar("T")

SHOT_BYTES, WORST_BYTES = 2_500_000, 1_000_000
"""Of PNG files; as text in the page they take a third more."""
_WORST = 24
_ENDS = ("noisy", "truth")


@dataclass(frozen=True)
class Picture:
    """A crop with its caption; ``data`` is a data URI."""

    kind: str
    data: str
    caption: str
    value: str


@dataclass(frozen=True)
class Shot:
    """The crops of one frame."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Gallery:
    """What is shown, and how many frames are not, for want of room."""

    shots: Sequence[Shot]
    worst: Sequence[Shot]
    left_out: int


def wanted(evaluation: evaluation_pb2.Evaluation) -> list[evaluation_pb2.Picture]:
    """The pictures that the page shows."""
    groups = [group for _, _, group in _shots(evaluation)[0]]
    groups += [list(item.pictures) for _, item in _worst(evaluation)[0]]
    return [picture for group in groups for picture in group]


def gallery(judged: Judged) -> Gallery:
    """The page's pictures, of those that were fetched."""
    lead = judged.metrics[0]
    chosen, more = _shots(judged.evaluation)
    worst, more_worst = _worst(judged.evaluation)
    shots = (
        Shot(f"{clip_title(clip)}, frame {frame}", _pictures(judged, clip, group, frame, lead))
        for clip, frame, group in chosen
    )
    cases = (_case(judged, clip, item) for clip, item in worst)
    return Gallery(
        [shot for shot in shots if shot.pictures],
        [case for case in cases if case.pictures],
        more + more_worst,
    )


_Group = tuple[evaluation_pb2.ClipResult, int, list[evaluation_pb2.Picture]]


def _shots(evaluation: evaluation_pb2.Evaluation) -> tuple[list[_Group], int]:
    """Every clip's first frame with pictures, then every clip's second, and so on."""
    columns = []
    for clip in evaluation.clips:
        frames = sorted({picture.frame for picture in clip.pictures})
        columns.append([(clip, frame, [p for p in clip.pictures if p.frame == frame]) for frame in frames])
    return _affordable(_by_turns(columns), lambda group: group[2], SHOT_BYTES)


def _worst(
    evaluation: evaluation_pb2.Evaluation,
) -> tuple[list[tuple[evaluation_pb2.ClipResult, evaluation_pb2.WorstFrame]], int]:
    """Every clip's worst frame, then every clip's second worst, and so on; first those of the challenger."""
    ours = Judged(evaluation).challenger
    columns = [
        sorted(((clip, item) for item in clip.worst if item.pictures), key=lambda pair: pair[1].label != ours)
        for clip in evaluation.clips
    ]
    found = list(_by_turns(columns))
    kept, left_out = _affordable(found[:_WORST], lambda pair: pair[1].pictures, WORST_BYTES)
    return kept, left_out + max(0, len(found) - _WORST)


def _by_turns(columns: Iterable[Sequence[T]]) -> Iterator[T]:
    for row in zip_longest(*columns):
        yield from (item for item in row if item is not None)


def _affordable(
    groups: Iterable[T], pictures: Callable[[T], Iterable[evaluation_pb2.Picture]], budget: int
) -> tuple[list[T], int]:
    """As many of the first as the budget holds, but at least one; and how many are left out."""
    kept: list[T] = []
    spent = left_out = 0
    for group in groups:
        spent += sum(picture.png.size_bytes for picture in pictures(group))
        if kept and spent > budget:
            left_out += 1
        else:
            kept.append(group)
    return kept, left_out


def _pictures(
    judged: Judged,
    clip: evaluation_pb2.ClipResult,
    group: Iterable[evaluation_pb2.Picture],
    frame: int,
    metric: Metric,
) -> tuple[Picture, ...]:
    """The crops in order: noisy, the subjects, truth; below each subject its value of the whole frame."""
    data = {
        picture.kind: data_uri(judged.pictures[picture.png.sha256])
        for picture in group
        if picture.png.sha256 in judged.pictures
    }
    kinds = [_ENDS[0], *judged.labels, _ENDS[1]]
    return tuple(
        Picture(
            kind,
            data[kind],
            kind,
            "" if kind in _ENDS else _shown(metric, value_at(clip, kind, metric.name, frame)),
        )
        for kind in kinds
        if kind in data
    )


def _case(judged: Judged, clip: evaluation_pb2.ClipResult, item: evaluation_pb2.WorstFrame) -> Shot:
    metric = metric_named(item.metric)
    value = with_unit(metric, item.value)
    title = f"{clip_title(clip)}, frame {item.frame}: {item.label}’s {metric_title(metric)} {value}"
    return Shot(title, _pictures(judged, clip, item.pictures, item.frame, metric))


def _shown(metric: Metric, value: float) -> str:
    written = with_unit(metric, value)
    return "" if written == "–" else written

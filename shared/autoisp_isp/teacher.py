"""A prototype at work as a teacher: it develops patches of raw, as many as time allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

from autoisp_isp.evaluation import Developer
from autoisp_isp.feature_tap import FIELD, REASON, TappedNetwork
from autoisp_isp.lessons import Lesson, Lessons

Array = npt.NDArray[np.float32]

EDGE = 48
"""Raw pixels along a lesson's side: twice that of a training's patch, which is cut at a random place."""
MARGIN = 8
"""Raw pixels around a lesson that the prototype sees too: near a border its pictures are worse than they are
in a frame. A power of two, so that features of any common size can be cut where the raw is."""
FEWEST = 4
"""Lessons of each kind that are made however long they take."""
LARGEST_BYTES = 96 << 20
"""Of all lessons: workers read them before each trial."""
_FINEST = 2


@dataclass(frozen=True)
class Question:
    """Raw that the prototype is to develop, with ``margin`` raw pixels around what becomes a lesson.

    Attributes:
        raw: (T, 4, e + 2m, e + 2m) noisy packed RGGB, oldest frame first.
        gains: (3,); ccm: (3, 3); noise: (2,).
        truth: (3, 2(e + 2m), 2(e + 2m)) sRGB; None: real raw, which has none.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    truth: Tensor | None


class Asker(Protocol):
    """Where questions of one kind come from."""

    def __call__(self, number: int) -> Question:
        """The ``number``-th question; the same number gives the same one."""


def teach(
    prototype: Developer,
    askers: Sequence[Asker],
    seconds: float,
    *,
    margin: int = MARGIN,
    tap: TappedNetwork | None = None,
    before_each: Callable[[], None] = lambda: None,
) -> Lessons:
    """Has the prototype answer questions, those of each kind in turns, for about ``seconds``.

    Args:
        prototype: the teacher.
        askers: a source for each kind of footage.
        seconds: how long to go on; :data:`FEWEST` of each kind are answered in any case.
        margin: raw pixels to cut off around each answer.
        tap: the same prototype with its features to be read; None: without.
        before_each: may raise, to end early.

    Raises:
        InvalidArgumentError: the tapped tensor is no feature map that lies over the raw.
    """
    give_up_at = time.perf_counter() + seconds
    lessons: list[Lesson] = []
    held = 0
    for question in _in_turns(askers):
        enough = time.perf_counter() > give_up_at or held > LARGEST_BYTES
        if enough and len(lessons) >= FEWEST * len(askers):
            break
        before_each()
        lessons.append(_answered(prototype, question, margin, tap))
        held += _stored_bytes(lessons[-1])
    return Lessons.of(lessons)


def _in_turns(askers: Sequence[Asker]) -> Iterator[Question]:
    for position, asker in enumerate(cycle(askers)):
        yield asker(position // len(askers))


def _answered(prototype: Developer, question: Question, margin: int, tap: TappedNetwork | None) -> Lesson:
    raw = question.raw.numpy()
    camera = (question.gains.numpy(), question.ccm.numpy(), question.noise.numpy())
    if tap is not None:
        picture = tap.run(raw, *camera)
        features = torch.from_numpy(_inner_features(tap, raw.shape[-1], margin))
    else:
        picture, features = _last_of_stream(prototype, raw, camera), None
    inner = slice(margin, raw.shape[-1] - margin)
    pixels = slice(2 * margin, 2 * (raw.shape[-1] - margin))
    return Lesson(
        raw=question.raw[..., inner, inner],
        gains=question.gains,
        ccm=question.ccm,
        noise=question.noise,
        picture=torch.from_numpy(np.ascontiguousarray(picture))[:, pixels, pixels],
        truth=None if question.truth is None else question.truth[:, pixels, pixels],
        features=features,
    )


def _last_of_stream(prototype: Developer, raw: Array, camera: tuple[Array, Array, Array]) -> Array:
    """The newest frame's picture; who remembers earlier frames sees those of the patch first."""
    stream = prototype.start()
    if prototype.recurrent:
        for end in range(prototype.frames, len(raw)):
            stream.skip(raw[:end][-prototype.frames :], *camera)
    return stream.run(raw[-prototype.frames :], *camera)


def _inner_features(tap: TappedNetwork, edge: int, margin: int) -> Array:
    """The features over the lesson's pixels: (C, f, f)."""
    features = tap.features
    _, height, width = features.shape
    scale = height / edge
    cut = scale * margin
    if height != width or not 0 < scale <= _FINEST or cut != int(cut) or not height - 2 * cut >= 1:
        raise InvalidArgumentError(
            FIELD,
            f"the tensor is {height} × {width} for {edge} × {edge} raw: features must lie over the raw, at "
            "twice its size or at a half, a quarter or an eighth of it; name another tensor",
            reason=REASON,
        )
    inner = slice(int(cut), height - int(cut))
    return np.ascontiguousarray(features[:, inner, inner])


def _stored_bytes(lesson: Lesson) -> int:
    tensors = (lesson.raw, lesson.picture, lesson.picture, lesson.features)
    return 2 * sum(tensor.numel() for tensor in tensors if tensor is not None)

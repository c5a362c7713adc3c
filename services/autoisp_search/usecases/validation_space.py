"""Checking the space that a draft asks for, alone and against the dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import LayerType, SearchSpace, SpecError

from autoisp_search.domain.dataset import DatasetInfo
from autoisp_search.usecases.drafts import SpaceDraft

MAX_CHOICES = 64
"""Values of one number of the space: every draw looks at all widths with all repeats."""

_Invalid = InvalidArgumentError


def checked_space(draft: SpaceDraft) -> SearchSpace:
    """The space of a draft; what it leaves open takes its default.

    Raises:
        InvalidArgumentError: ``field`` is the path of the wrong value (``search.space.widths``).
    """
    changes: dict[str, Any] = {
        field.name: getattr(draft, field.name) for field in fields(draft) if getattr(draft, field.name)
    }
    if "types" in changes:
        known = {int(kind) for kind in LayerType}
        unknown = [code for code in changes["types"] if code not in known]
        if unknown:
            raise _Invalid(
                "search.space.types", f"there is no layer type {unknown[0]}; use {sorted(known - {7})}"
            )
        # TERMINAL ends every block, so naming it says nothing.
        changes["types"] = tuple(
            LayerType(code) for code in dict.fromkeys(changes["types"]) if code != LayerType.TERMINAL
        )
    for name, value in changes.items():
        if name != "max_layers":
            changes[name] = tuple(dict.fromkeys(value))
            if len(changes[name]) > MAX_CHOICES:
                raise _Invalid(
                    f"search.space.{name}",
                    f"{name} has {len(changes[name])} different values; give at most {MAX_CHOICES}",
                )
            if max(value) > 1024:
                raise _Invalid(f"search.space.{name}", f"{name} has {max(value)}; give at most 1024")
    with prefixed("space.", "search.space."):
        space = SearchSpace(**changes)
        space.cheapest()
    return space


def fitting_frames(space: SearchSpace, dataset: DatasetInfo) -> SearchSpace:
    """The space without windows of frames that no clip is long enough for.

    Raises:
        InvalidArgumentError: a split has no frames, or too few for every network of the space.
    """
    splits = (
        ("training", dataset.train_frames),
        ("validation", dataset.validation_frames),
        ("testing", dataset.test_frames),
    )
    for split, frames in splits:
        if not any(frames):
            raise _Invalid("search.dataset", f"the dataset has no frames for {split}; make one that has")
    longest = min(max(frames) for _, frames in splits)
    fitting = tuple(frames for frames in space.frames if frames <= longest)
    if not fitting:
        raise _Invalid(
            "search.dataset",
            f"networks of search.space read at least {min(space.frames)} frames at once, and the longest "
            f"clip of a split has {longest}; use longer clips, or allow fewer in search.space.frames",
        )
    return replace(space, frames=fitting)


@contextmanager
def prefixed(inner: str, outer: str) -> Iterator[None]:
    """Names the field as the request does."""
    try:
        yield
    except InvalidArgumentError as error:
        field = outer + error.field.removeprefix(inner)
        raise _Invalid(
            field,
            error.message,
            reason=None if isinstance(error, SpecError) else error.reason,
            metadata=error.metadata,
        ) from error

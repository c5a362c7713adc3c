"""What is found of a model or a version: plain values, without a database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from autoisp_core import names
from autoisp_core.quality.figures import COSTS

from autoisp_registry.domain import ConversionState, Model, ModelVersion
from autoisp_registry.filters.words import words_of_all

MAX_KEY, MAX_VALUE = 192, 512
"""Characters of a text's key and value that are compared."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """A line of the index.

    Attributes:
        number: of the version; 0 of a model.
        created, updated: microseconds since 1970.
        latest: number of a model's newest version.
        texts: fields with text values, as pairs; a field may come more than once.
        numbers: fields with numbers.
        words: for full text.
    """

    name: str
    number: int
    deleted: bool
    created: int
    updated: int
    texts: tuple[tuple[str, str], ...]
    numbers: Mapping[str, float]
    words: tuple[str, ...]
    latest: int = 0
    passed: bool | None = None


def entry_of_version(version: ModelVersion) -> Entry:
    """A version's entry; its aliases are its model's."""
    content, lineage = version.content, version.content.lineage
    origins = {
        "dataset": lineage.dataset,
        "search": lineage.search,
        "trial": lineage.trial,
        "evaluation": lineage.evaluation,
    }
    texts = [
        *_tags(version.tags),
        *((f"lineage.{part}", name) for part, name in origins.items() if name),
        *(("format", made.format) for made in version.formats if made.artifact is not None),
    ]
    if version.conversion.state is not ConversionState.NOT_ASKED:
        texts.append(("conversion", version.conversion.state.lower()))
    written = [
        names.id_of(version.model),
        version.description,
        *(part for tag in version.tags.items() for part in tag),
        *origins.values(),
        content.spec,
    ]
    created = microseconds(version.create_time)
    return Entry(
        version.name,
        version.number,
        version.deleted,
        created,
        created,
        _cut(texts),
        _figures(version),
        words_of_all(written),
        passed=content.gate.passed if content.gate else None,
    )


def entry_of_model(model: Model) -> Entry:
    """A model's entry."""
    texts = [
        *_tags(model.tags),
        ("display_name", model.display_name),
    ]
    written = [
        names.id_of(model.name),
        model.display_name,
        model.description,
        *(part for tag in model.tags.items() for part in tag),
    ]
    return Entry(
        model.name,
        0,
        model.deleted,
        microseconds(model.create_time),
        microseconds(model.update_time),
        _cut(texts),
        {},
        words_of_all(written),
        latest=model.latest_version,
    )


def microseconds(time: datetime) -> int:
    """Since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def cut(value: str) -> str:
    """A text as it is compared."""
    return value.replace("\0", "")[:MAX_VALUE]


def _tags(tags: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((f"tags.{key}", value) for key, value in tags.items())


def _cut(texts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({(key.replace("\0", "")[:MAX_KEY], cut(value)) for key, value in texts}))


def _figures(version: ModelVersion) -> dict[str, float]:
    metrics = version.content.metrics
    # What a search registers says of whom a figure is: ``metrics.psnr`` is that of the model.
    own = {name.removesuffix("_model"): value for name, value in metrics.items()}
    costs = {name: own[name] for name in COSTS if name in own}
    if (cost := version.content.cost) is not None:
        costs |= {name: value for name in COSTS if (value := getattr(cost, name, None)) is not None}
    figures = {
        **{f"metrics.{name}": value for name, value in {**own, **metrics}.items()},
        **{f"cost.{name}": float(value) for name, value in costs.items()},
    }
    return {
        name.replace("\0", "")[:MAX_KEY]: value for name, value in figures.items() if math.isfinite(value)
    }

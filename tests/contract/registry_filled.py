"""Random versions in a registry's store, and what a filter means in plain Python."""

from __future__ import annotations

import operator
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.quality.figures import COSTS
from autoisp_registry.domain import (
    Content,
    Conversion,
    ConversionState,
    Cost,
    EdgeFormat,
    GateResult,
    Lineage,
    Model,
    ModelVersion,
)
from autoisp_registry.filters import And, Comparison, Expression, Not, Operator, Or, Text
from autoisp_registry.filters.words import words_of
from autoisp_registry.ports import Message
from autoisp_registry.store import SqlStore

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
WORDS = ("night", "Low", "light", "ISO3200", "Straße", "zoom-2x", "p_series", "1e5", "été")
TAGS = {"sensor": ("phone", "PHONE", "action-cam", ""), "my key": ("a b", "ß", "%_", "z\\'")}


def make_version(model: str, number: int, dice: random.Random) -> ModelVersion:
    """Some version; much of it may be missing."""
    sha256 = f"{dice.getrandbits(256):064x}"
    onnx = Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, 5, "application/onnx")
    metrics = {name: dice.choice((29.5, 30.0, 30.5, -1e30)) for name in ("psnr_model", "ssim", "odd.name")}
    cost = Cost(dice.choice((3000.0, 3600.0, None)), dice.choice((10, 20)))
    content = Content(
        onnx,
        {name: value for name, value in metrics.items() if dice.random() < 0.7},
        Lineage(*(dice.choice(("", f"{part}/1", f"{part}/2")) for part in ("datasets", "searches"))),
        dice.choice(("", '{"width": 16, "kind": "unet"}')),
        dice.choice((None, GateResult(True, ()), GateResult(False, ()))),
        dice.choice((None, cost)),
    )
    state = dice.choice(list(ConversionState))
    return ModelVersion(
        model,
        number,
        content,
        NOW + timedelta(seconds=dice.randrange(4)),
        description=" ".join(dice.choices(WORDS, k=dice.randrange(4))),
        tags={key: dice.choice(values) for key, values in TAGS.items() if dice.random() < 0.6},
        conversion=Conversion(state),
        formats=tuple(
            EdgeFormat(name, onnx if dice.random() < 0.7 else None) for name in ("onnx-fp16", "onnx-int8")
        ),
        delete_time=NOW if dice.random() < 0.1 else None,
    )


async def fill(store: SqlStore[Message], dice: random.Random) -> tuple[list[Model], list[ModelVersion]]:
    """Three models with versions, some deleted; all as the store has them, the oldest first."""
    models, versions = [], []
    for model_id in ("a", "b", "c-2"):
        name = f"models/{model_id}"
        async with store.transaction() as transaction:
            model = await transaction.lock(name, NOW)
            own = [make_version(name, number, dice) for number in range(1, 9)]
            for version in own:
                await transaction.add_version(version, None)
                model = model.with_version(NOW)
            for alias in ("champion", "night"):
                model = model.with_alias(alias, dice.randint(1, 8), NOW)
            model = model.changed(
                NOW + timedelta(seconds=dice.randrange(3)),
                description=" ".join(dice.choices(WORDS, k=2)),
                tags={"sensor": dice.choice(TAGS["sensor"])},
                display_name=dice.choice(WORDS),
            )
            await transaction.save(model)
        models.append(model)
        versions += [replace(version, aliases=model.aliases_of(version.number)) for version in own]
    return models, versions


def fulfils(expression: Expression, item: Model | ModelVersion) -> bool:
    """What the filter means, said once more."""
    match expression:
        case And(operands=operands):
            return all(fulfils(operand, item) for operand in operands)
        case Or(operands=operands):
            return any(fulfils(operand, item) for operand in operands)
        case Not(operand=operand):
            return not fulfils(operand, item)
        case Text(words=words):
            found = _words(item)
            return any(found[at : at + len(words)] == list(words) for at in range(len(found)))
        case Comparison():
            return any(_compare(expression, value) for value in _values(expression.field.name, item))
    raise AssertionError(expression)


def _compare(comparison: Comparison, value: Any) -> bool:
    wanted = comparison.value
    if wanted is None:
        return True
    if comparison.field.name == "model" and comparison.operator is not Operator.HAS:
        wanted = f"models/{str(wanted).removeprefix('models/')}"
    compare = {
        Operator.EQ: operator.eq,
        Operator.NE: operator.ne,
        Operator.LT: operator.lt,
        Operator.LE: operator.le,
        Operator.GT: operator.gt,
        Operator.GE: operator.ge,
        Operator.HAS: lambda have, want: want in have,
    }
    return bool(compare[comparison.operator](value, wanted))


def _values(name: str, item: Model | ModelVersion) -> list[Any]:
    prefix, _, key = name.partition(".")
    if prefix == "tags":
        return [item.tags[key]] if key in item.tags else []
    if name in ("name", "create_time"):
        return [getattr(item, name)]
    if name == "alias":
        return list(item.aliases)
    if isinstance(item, Model):
        return [getattr(item, name)]
    content = item.content
    metrics = content.metrics
    match prefix:
        case "metrics":
            return [metrics[own] for own in (key, f"{key}_model") if own in metrics][:1]
        case "cost":
            assert key in COSTS
            value = getattr(content.cost, key, None)
            return [] if value is None else [value]
        case "lineage":
            return [getattr(content.lineage, key)] if getattr(content.lineage, key) else []
        case "passed":
            return [content.gate.passed] if content.gate else []
        case "conversion":
            state = item.conversion.state
            return [] if state is ConversionState.NOT_ASKED else [state.lower()]
        case "format":
            return [made.format for made in item.formats if made.artifact]
        case "model" | "number":
            return [getattr(item, name)]
    raise AssertionError(name)


def _words(item: Model | ModelVersion) -> list[str]:
    tags = [part for tag in item.tags.items() for part in tag]
    if isinstance(item, Model):
        texts = [names.id_of(item.name), item.display_name, item.description, *tags]
    else:
        lineage = item.content.lineage
        origin = [lineage.dataset, lineage.search, lineage.trial, lineage.evaluation]
        texts = [names.id_of(item.model), item.description, *tags, *origin, item.content.spec]
    return [word for text in texts for word in words_of(text)]

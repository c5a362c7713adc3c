"""How networks are trained, in words."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp.search.v1 import search_pb2

from autoisp_cli.choice import Choice
from autoisp_cli.tune.options import TuneOptions

_AUGMENTATIONS = {
    search_pb2.AUGMENTATION_OFF: "off",
    search_pb2.AUGMENTATION_RANDOM: "random camera operations",
    search_pb2.AUGMENTATION_ADVERSARIAL: "adversarial camera operations",
}


def choices(options: TuneOptions, search: search_pb2.Search) -> Iterator[Choice]:
    """Augmentation, distillation and inheritance, as the service fills them in."""
    training = search.training
    kind = _AUGMENTATIONS.get(training.augmentation, "the service's choice")
    yield Choice("Augmentation", kind, _why(options.augment), "--augment")
    yield Choice("Distillation", _distillation(training), _why(options.distill), "--distill")
    if training.HasField("feature_distillation"):
        features = training.feature_distillation
        yield Choice("Features", f"{features.tensor}, weight {features.weight:g}", "", "--distill-features")
    start = "the nearest trained network's" if training.inherit_weights else "random"
    yield Choice("First weights", start, _why(options.inherit), "--inherit")


def summary(training: search_pb2.Training) -> str:
    """``augmentation off; the prototype teaches on real raw, which has no truth``."""
    parts = [
        f"augmentation {_AUGMENTATIONS.get(training.augmentation, 'by default')}",
        _distillation(training),
    ]
    if training.HasField("feature_distillation"):
        parts.append(f"features of {training.feature_distillation.tensor}")
    if training.inherit_weights:
        parts.append("weights inherited")
    return "; ".join(parts)


def _distillation(training: search_pb2.Training) -> str:
    if not training.HasField("distillation"):
        return "the prototype teaches on real raw, which has no truth"
    if not training.distillation:
        return "no distillation"
    return f"the prototype's pictures, weight {training.distillation:g} where there is truth"


def _why(option: object) -> str:
    return "the default" if option is None else ""

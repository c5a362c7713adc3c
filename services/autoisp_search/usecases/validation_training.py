"""Checking how a draft wants its networks trained."""

from __future__ import annotations

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.training import Augmentation, FeatureDistillation, Training

from autoisp_search.domain import Prototype
from autoisp_search.usecases.drafts import TrainingDraft
from autoisp_search.usecases.validation_space import prefixed


def checked_training(draft: TrainingDraft, prototype: Prototype) -> Training:
    """How to train; what the draft leaves open takes its default.

    Raises:
        InvalidArgumentError: ``field`` is the path of the wrong value (``search.training.distillation``).
    """
    default = Training()
    with prefixed("training.", "search.training."):
        training = Training(
            augmentation=_augmentation(draft.augmentation) if draft.augmentation else default.augmentation,
            distillation=draft.distillation,
            feature_distillation=(
                FeatureDistillation(*draft.feature_distillation) if draft.feature_distillation else None
            ),
            inherit_weights=bool(draft.inherit_weights),
        )
    if training.feature_distillation is not None and prototype.onnx is None:
        raise InvalidArgumentError(
            "search.training.feature_distillation",
            f"builtin:{prototype.builtin} is no ONNX graph and has no tensors to learn from; leave it out, "
            "or give a prototype as ONNX",
        )
    return training


def _augmentation(name: str) -> Augmentation:
    try:
        return Augmentation(name)
    except ValueError as error:
        known = ", ".join(augmentation.value for augmentation in Augmentation)
        raise InvalidArgumentError(
            "training.augmentation", f"there is no augmentation {name!r}; use one of {known}"
        ) from error

"""How networks are trained: what a user asks for, and what a search and its workers are told."""

from __future__ import annotations

from autoisp.search.v1 import search_pb2
from autoisp_core.training import Augmentation, Training

from autoisp_search.usecases.drafts import TrainingDraft

_CODES = {
    Augmentation.OFF: search_pb2.AUGMENTATION_OFF,
    Augmentation.RANDOM: search_pb2.AUGMENTATION_RANDOM,
    Augmentation.ADVERSARIAL: search_pb2.AUGMENTATION_ADVERSARIAL,
}
_NAMES = {code: augmentation.value for augmentation, code in _CODES.items()}


def training_to(training: Training) -> search_pb2.Training:
    """Encode."""
    features = training.feature_distillation
    return search_pb2.Training(
        augmentation=_CODES[training.augmentation],
        distillation=training.distillation,
        feature_distillation=(
            search_pb2.FeatureDistillation(tensor=features.tensor, weight=features.weight)
            if features
            else None
        ),
        inherit_weights=training.inherit_weights,
    )


def training_draft_from(message: search_pb2.Training) -> TrainingDraft:
    """Decode; a code that is none stays a number, for validation to refuse."""
    features, code = message.feature_distillation, message.augmentation
    return TrainingDraft(
        augmentation=_NAMES.get(code, str(int(code)) if code else ""),
        distillation=message.distillation if message.HasField("distillation") else None,
        feature_distillation=(
            (features.tensor, features.weight) if message.HasField("feature_distillation") else None
        ),
        inherit_weights=message.inherit_weights if message.HasField("inherit_weights") else None,
    )

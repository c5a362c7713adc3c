"""How networks are trained, from the wire."""

from __future__ import annotations

from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.training import Augmentation, FeatureDistillation, Training

_AUGMENTATIONS = {
    search_pb2.AUGMENTATION_UNSPECIFIED: Training().augmentation,
    search_pb2.AUGMENTATION_OFF: Augmentation.OFF,
    search_pb2.AUGMENTATION_RANDOM: Augmentation.RANDOM,
    search_pb2.AUGMENTATION_ADVERSARIAL: Augmentation.ADVERSARIAL,
}


def training(message: search_pb2.Training) -> Training:
    """Decode.

    Raises:
        InvalidArgumentError: an augmentation that this worker does not know, or a weight that makes no sense.
    """
    if message.augmentation not in _AUGMENTATIONS:
        raise InvalidArgumentError(
            "training.augmentation",
            f"this worker knows no augmentation {int(message.augmentation)}; update it",
        )
    features = message.feature_distillation
    return Training(
        augmentation=_AUGMENTATIONS[message.augmentation],
        distillation=message.distillation if message.HasField("distillation") else None,
        feature_distillation=(
            FeatureDistillation(features.tensor, features.weight)
            if message.HasField("feature_distillation")
            else None
        ),
        inherit_weights=message.inherit_weights,
    )

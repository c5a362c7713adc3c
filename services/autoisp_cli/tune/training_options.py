"""``--augment``, ``--distill``, ``--distill-features`` and ``--inherit``: how networks are trained."""

from __future__ import annotations

from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.training import Augmentation, FeatureDistillation, Training

from autoisp_cli.paths import as_option

_CODES = {
    Augmentation.OFF: search_pb2.AUGMENTATION_OFF,
    Augmentation.RANDOM: search_pb2.AUGMENTATION_RANDOM,
    Augmentation.ADVERSARIAL: search_pb2.AUGMENTATION_ADVERSARIAL,
}


def training_message(
    augment: str | None, distill: float | None, distill_features: str | None, inherit: bool | None
) -> search_pb2.Training | None:
    """What the options say; None if they say nothing, so that all is left to the service.

    Raises:
        InvalidArgumentError: one is wrong; ``field`` is the option.
    """
    if augment is None and distill is None and distill_features is None and inherit is None:
        return None
    message = search_pb2.Training(
        augmentation=_augmentation(augment), distillation=distill, inherit_weights=inherit
    )
    as_option("--distill", lambda: Training(distillation=distill))
    if distill_features is not None:
        features = _features(distill_features)
        message.feature_distillation.tensor = features.tensor
        message.feature_distillation.weight = features.weight
    return message


def _augmentation(name: str | None) -> search_pb2.Augmentation.ValueType:
    if name is None:
        return search_pb2.AUGMENTATION_UNSPECIFIED
    try:
        return _CODES[Augmentation(name)]
    except ValueError as error:
        known = ", ".join(kind.value for kind in Augmentation)
        raise InvalidArgumentError(
            "--augment", f"--augment {name}: there is no such kind; use one of {known}"
        ) from error


def _features(text: str) -> FeatureDistillation:
    # Names of tensors may have colons, numbers have none.
    tensor, _, weight = text.rpartition(":")
    try:
        number = float(weight)
    except ValueError:
        number = 0.0
    if not tensor or not number:
        raise InvalidArgumentError(
            "--distill-features",
            f"--distill-features {text}: write a tensor of the prototype and a weight above 0, as in "
            "/body/Relu_output_0:0.1",
        )
    return as_option("--distill-features", lambda: FeatureDistillation(tensor, number))

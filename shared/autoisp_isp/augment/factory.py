"""From the settings to whoever chooses the patches' augmentation."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp_core.training import Augmentation

from autoisp_isp.augment.adversary import Adversary
from autoisp_isp.augment.augmenter import Augmenter, RandomAugmenter
from autoisp_isp.augment.settings import AugmentationSettings


def augmenter_for(settings: AugmentationSettings, operations: Sequence[str], seed: int) -> Augmenter | None:
    """Whoever chooses from these operations, by name; None: nobody does.

    Args:
        settings: the mode and its numbers.
        operations: see :func:`~autoisp_isp.augment.conditions.camera_operations` and
            :data:`~autoisp_isp.augment.images.IMAGE_OPERATIONS`.
        seed: of the training.
    """
    match settings.mode:
        case Augmentation.OFF:
            return None
        case Augmentation.RANDOM:
            return RandomAugmenter(operations, settings, seed)
        case Augmentation.ADVERSARIAL:
            return Adversary(operations, settings, seed)

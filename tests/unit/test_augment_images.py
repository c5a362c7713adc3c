"""The paper's operations on RGB pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from autoisp_isp.augment.choices import NOBODY, Choices
from autoisp_isp.augment.images import IMAGE_OPERATIONS, augmented
from torch import Tensor

_WITHOUT_MAGNITUDE = ("auto_contrast", "invert", "equalize")
_SIZE = 4


def _pictures() -> Tensor:
    return 0.1 + 0.7 * torch.rand(_SIZE, 3, 20, 30, generator=torch.Generator().manual_seed(0))


def _done(operation: str, severity: float, sign: float = 1.0, pictures: Tensor | None = None) -> Tensor:
    """One operation, with nothing in the second slot."""
    number = IMAGE_OPERATIONS.index(operation)
    choices = Choices(
        policies=np.zeros(_SIZE, np.int64),
        operations=np.tile([number, -1], (_SIZE, 1)),
        severities=np.full((_SIZE, 2), severity, np.float32),
        signs=np.full((_SIZE, 2), sign, np.float32),
        places=np.full((_SIZE, 2, 2), 0.5, np.float32),
        seeds=np.zeros(_SIZE, np.int64),
    )
    return augmented(_pictures() if pictures is None else pictures, choices)


@pytest.mark.parametrize("operation", IMAGE_OPERATIONS)
def test_every_operation_keeps_shape_and_range_and_does_something(operation: str) -> None:
    for sign in (-1.0, 1.0):
        done = _done(operation, 1.0, sign)
        assert done.shape == (_SIZE, 3, 20, 30)
        assert done.min() >= 0.0
        assert done.max() <= 1.0
        assert (done - _pictures()).abs().mean() > 1e-3


@pytest.mark.parametrize("operation", [name for name in IMAGE_OPERATIONS if name not in _WITHOUT_MAGNITUDE])
def test_magnitude_0_changes_nothing(operation: str) -> None:
    torch.testing.assert_close(_done(operation, 0.0), _pictures(), atol=1e-5, rtol=0)


def test_operations_are_those_of_the_paper() -> None:
    pictures = _pictures()
    torch.testing.assert_close(_done("invert", 1.0), 1.0 - pictures)
    torch.testing.assert_close(_done("solarize", 0.5), torch.where(pictures < 0.5, pictures, 1.0 - pictures))
    torch.testing.assert_close(_done("brightness", 1.0, -1.0), 0.1 * pictures)
    assert len(_done("posterize", 1.0).unique()) <= 2**4
    assert _done("auto_contrast", 1.0).amin((2, 3)).max() < 1e-5
    assert _done("auto_contrast", 1.0).amax((2, 3)).min() > 1.0 - 1e-5
    grey = _done("color", 1.0, -1.0)
    assert grey.std(1).mean() < 0.2 * pictures.std(1).mean()
    shifted = _done("translate_x", 0.2 / 0.45)  # by a fifth of 30 pixels
    torch.testing.assert_close(shifted[..., 6:], pictures[..., :-6], atol=1e-4, rtol=0)
    assert shifted[..., :6].abs().max() < 1e-4
    hole = _done("cutout", 1.0) == 0.5  # a fifth of the width, in the middle
    assert hole.all(1)[:, 7:13, 12:18].all()
    assert int(hole.all(1)[0].sum()) == 36


def test_patches_nobody_chose_for_stay_and_slots_follow_each_other() -> None:
    pictures = _pictures()
    invert, brighter = IMAGE_OPERATIONS.index("invert"), IMAGE_OPERATIONS.index("brightness")
    choices = Choices(
        policies=np.array([NOBODY, 0, 0, 1]),
        operations=np.array([[invert, invert], [invert, brighter], [brighter, invert], [invert, invert]]),
        severities=np.ones((_SIZE, 2), np.float32),
        signs=-np.ones((_SIZE, 2), np.float32),
        places=np.zeros((_SIZE, 2, 2), np.float32),
        seeds=np.zeros(_SIZE, np.int64),
    )
    done = augmented(pictures, choices)
    assert torch.equal(done[0], pictures[0])
    torch.testing.assert_close(done[1], 0.1 * (1.0 - pictures[1]))
    torch.testing.assert_close(done[2], 1.0 - 0.1 * pictures[2])
    torch.testing.assert_close(done[3], pictures[3])
    assert torch.equal(augmented(pictures, choices), done)

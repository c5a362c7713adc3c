"""Standard normal numbers drawn once and read again and again: a training's noise costs one copy of memory.

Drawing anew takes longer than all else that happens to a patch of raw. A batch reads one stretch of a long
table instead, from a place that depends on the batch alone: within it all numbers are independent, and two
batches meet the same numbers at other pixels of other pictures, which no network can make use of.
"""

from functools import lru_cache

import torch
from torch import Tensor

_SMALLEST = 1 << 21
# So many times longer than what is read at once, for a choice of places.
_LONGER = 8
_SEED = 20180709


def normal_stretch(count: int, word: int, device: torch.device) -> Tensor:
    """`count` standard normal numbers, (count,), the same on every device; not to be changed.

    Args:
        count: how many.
        word: says where in the table they begin.
        device: where they shall lie; the table is moved there once.
    """
    length = max(_SMALLEST, 1 << (_LONGER * count - 1).bit_length())
    table = _table(length, device)
    first = word % (length - count + 1)
    return table[first : first + count]


# Trainings of one process mostly share one size; two leave room for a recurrent one's.
@lru_cache(maxsize=2)
def _table(length: int, device: torch.device) -> Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(_SEED)).to(device)

"""What a training needs to know of a network: specs are the usual ones, any module of the contract works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from autoisp_core.spec import Spec
from torch import nn

from autoisp_isp.network import build


@dataclass(frozen=True)
class Design:
    """A network that can be trained.

    Attributes:
        name: tells it from all others: a checkpoint goes on under the same name only.
        build: makes it on the CPU, with random weights from torch's global generator. It maps raw
            (N, T, 4, h, w), gains (N, 3), ccm (N, 3, 3), noise (N, 2) to sRGB (N, 3, 2h, 2w) of the newest
            frame.
        frames: T; where that is 1 and it isn't recurrent, raw is (N, 4, h, w).
        width: channels of the features behind its last block; 0: it doesn't show them.
        recurrent: whether T may be larger: windows of `frames` then go through one after the other.
    """

    name: str
    build: Callable[[], nn.Module]
    frames: int
    recurrent: bool = False
    width: int = 0

    @classmethod
    def of(cls, spec: Spec) -> Design:
        """The network of a spec; its name is the spec's JSON."""
        return cls(spec.to_json(), partial(build, spec), spec.frames, bool(spec.recurrent), spec.width)

    def window(self, unroll: int) -> int:
        """Raw frames of a patch in which a recurrent network makes `unroll` steps."""
        return self.frames + unroll - 1 if self.recurrent else self.frames

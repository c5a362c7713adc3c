"""Where one scene ends and another begins, seen on raw frames as they come: causal, and cheap.

Two things are asked of a frame and the one before it, on thumbnails that noise hardly reaches. Does it have
other colours: the Wasserstein-1 distance between the distributions of each colour, which neither motion nor
noise change much. And is what it shows found nowhere in the frame before: the share of its structure that
block matching leaves unexplained, as encoders decide where a new group of pictures starts. A cut changes
both; a change of light changes the first, fast motion the second.
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

CUT = 0.045
"""Least product of both answers at a cut. Within scenes it stayed below 0.033: six clips, with noise up to
(0.03, 0.003), exposures that change by up to 0.8 stops from frame to frame, three stops too little light. The
five cuts of a film had 0.059 or more in all of that, other pairs of scenes 0.05 or more but for two of one
street."""

_CELLS = 32
"""Of a thumbnail's longer side: a cell of a large picture is a mean of hundreds of pixels."""
_PLANES = (0, 1, 3)
"""R, G1 and B of packed RGGB."""
_DARK_SIGMAS = 2.0
"""Of a cell's read noise: a mean below that shows nothing."""
_REACH = 4
"""Motion of up to this part of the picture's size from one frame to the next is found."""


class SceneCuts:
    """Watches the raw frames of one stream, in order."""

    def __init__(self) -> None:
        self._before: Array | None = None

    def begins(self, frame: Array, noise: Array) -> bool:
        """Whether the stream's next frame begins a new scene; its first frame does not.

        Args:
            frame: (4, h, w) packed RGGB, linear, noisy, black 0, white 1; as large as the frame before.
            noise: (2,) its shot and read variance.
        """
        now, before = thumbnail(frame, float(noise[1])), self._before
        self._before = now
        return before is not None and change(before, now, enough=CUT) > CUT


def thumbnail(frame: Array, read: float) -> Array:
    """Raw (4, h, w) as the roots of R, G and B in (rows, columns, 3), at most 32 a side, their mean being 1.

    The root brings dark and bright parts closer, the mean takes the exposure out. Of a picture that is all
    noise the mean is less: blown up to 1, no two of them would look alike.
    """
    height, width = frame.shape[1:]
    edge = -(-max(height, width) // _CELLS)
    rows, columns = max(1, height // edge), max(1, width // edge)
    # Whole cells, without what is left over at the border: means of uneven ones take three times as long.
    whole = frame[:, : rows * edge, : columns * edge]
    cells = [cv2.resize(whole[plane], (columns, rows), interpolation=cv2.INTER_AREA) for plane in _PLANES]
    roots = np.sqrt(np.maximum(np.stack(cells, axis=-1), 0.0))
    dark = (_DARK_SIGMAS * read**0.5 / edge) ** 0.5 + 1e-6
    return np.asarray(roots / max(float(roots.mean()), dark), np.float32)


def change(before: Array, now: Array, *, enough: float = 0.0) -> float:
    """How much two thumbnails of the same size differ as scenes: from 0, where one shows the other's scene.

    Args:
        before, now: of :func:`thumbnail`.
        enough: structure, which takes longer, is not asked where colours alone give no more than this; the
            result is then an upper bound.
    """
    colours = [np.sort(cells.reshape(-1, len(_PLANES)), axis=0) for cells in (before, now)]
    distance = float(np.abs(colours[0] - colours[1]).mean())
    return distance if distance <= enough else distance * _unexplained(before, now)


def _unexplained(before: Array, now: Array) -> float:
    """Share of the variance of nine overlapping blocks that no part of the frame before accounts for.

    Of a block whose best normalised correlation is ρ it is 1 - ρ².
    """
    height, width = now.shape[:2]
    tall, wide = max(1, height // 2), max(1, width // 2)
    down, across = height // _REACH, width // _REACH
    explained = variances = 0.0
    for top, left in product(_thirds(height - tall), _thirds(width - wide)):
        block = now[top : top + tall, left : left + wide]
        around = before[
            max(0, top - down) : top + tall + down,
            max(0, left - across) : left + wide + across,
        ]
        variance = float(block.var(axis=(0, 1)).sum())
        correlation = float(cv2.matchTemplate(around, block, cv2.TM_CCOEFF_NORMED).max())
        explained += variance * min(max(correlation, 0.0), 1.0) ** 2
        variances += variance
    # Two even pictures have no structure that could differ.
    return 1.0 - explained / variances if variances > 0.0 else 1.0


def _thirds(room: int) -> tuple[int, int, int]:
    return 0, room // 2, room

"""Films made from stills: the camera pans over one after the other, at speeds from a crawl to a whip.

Stills have detail and colours that a few clips lack; as films they can train what looks at several frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

FRAMES = 40
"""Of each still: enough for training windows that skip frames."""
_VIEW = 0.75
"""Side of the square view, as a part of the smallest still's shorter side."""
_SPEEDS = (0.5, 16.0)
"""Pixels per frame; their logarithm is drawn evenly."""


def make_films(stills: Path, folder: Path, films: int = 2) -> list[Path]:
    """Writes films as folders of PNG frames; those that are there already are kept.

    Args:
        stills: folder of pictures, of any sizes.
        folder: gets a folder for each film: `pans-1`, `pans-2`, …
        films: how many; the stills are dealt out to them.

    Raises:
        ValueError: there is no picture in the folder.
    """
    pictures = [
        picture for path in sorted(stills.iterdir()) if (picture := cv2.imread(str(path))) is not None
    ]
    if not pictures:
        raise ValueError(f"--pans {stills}: there is no picture in it; give a folder of PNG or JPEG files")
    edge = int(_VIEW * min(min(picture.shape[:2]) for picture in pictures)) // 2 * 2
    films = min(films, len(pictures))
    made = []
    for film in range(films):
        target = folder / f"pans-{film + 1}"
        if not target.is_dir():
            draws = np.random.default_rng(film)
            # Whole or not there: what was interrupted is made anew.
            partial = folder / f".pans-{film + 1}"
            partial.mkdir(parents=True, exist_ok=True)
            frames = [frame for still in pictures[film::films] for frame in pan(still, edge, FRAMES, draws)]
            for index, frame in enumerate(frames):
                cv2.imwrite(str(partial / f"{index:04d}.png"), frame)
            partial.rename(target)
        made.append(target)
    return made


def pan(still: Picture, edge: int, frames: int, draws: np.random.Generator) -> Sequence[Picture]:
    """Square views (edge, edge, 3) of a still that move at a steady speed and turn back at its borders.

    Places are rounded to whole pixels, so that nothing is resampled.
    """
    room = np.array(still.shape[:2]) - edge
    speed, angle = np.exp(draws.uniform(*np.log(_SPEEDS))), draws.uniform(0.0, 2.0 * np.pi)
    steps = np.arange(frames)[:, None] * speed * np.array([np.sin(angle), np.cos(angle)])
    places = draws.uniform(0.0, room + 1e-9) + steps
    turned = np.abs(room - np.abs(room - places % np.maximum(2 * room, 1)))
    return [
        still[top : top + edge, left : left + edge]
        for top, left in np.clip(turned, 0, room).round().astype(int)
    ]

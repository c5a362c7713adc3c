"""Pictures to look at: the worst places of each subject, and one frame of the middle."""

from __future__ import annotations

from collections.abc import Mapping

from autoisp_core.quality import METRICS, WorstFrames
from autoisp_isp.crops import cut, noisy_picture, png, telling_region, worst_region
from autoisp_isp.evaluation import Array
from autoisp_isp.reel import Shot
from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker.domain_evaluation import FrameValues, Picture, WorstFrame

_EDGE = 144
_WORST_PER_SUBJECT = 3
_METRIC = "psnr"

Crops = dict[str, Array]
"""By kind, (3, h, w) each."""


class Gallery:
    """Keeps crops of a few frames, whatever the clip's length.

    Args:
        clip: name.
        labels: of the subjects.
        middle: index of the frame that is shown in any case.
    """

    def __init__(self, clip: str, labels: list[str], middle: int) -> None:
        self._clip = clip
        self._middle = middle
        self._shown: tuple[int, Crops] | None = None
        self._worst: dict[str, WorstFrames[Crops]] = {
            label: WorstFrames(METRICS[_METRIC], _WORST_PER_SUBJECT) for label in labels
        }

    def look(self, shot: Shot, pictures: Mapping[str, Array], values: Mapping[str, FrameValues]) -> None:
        """Take what is worth keeping of a frame: the pictures of all subjects, and what they are worth."""
        for label, judged in values.items():
            worst, value = self._worst[label], judged.values[_METRIC]
            if worst.wants(self._clip, judged.frame, value):
                region = worst_region(pictures[label], shot.truth, _EDGE)
                crops = {"truth": cut(shot.truth, region)}
                crops |= {other: cut(picture, region) for other, picture in pictures.items()}
                worst.offer(self._clip, judged.frame, value, crops)
        if shot.index == self._middle:
            region = telling_region(shot.truth, _EDGE)
            noisy = noisy_picture(shot.planes[-1], shot.gains, shot.ccm)
            all_of_them = {"noisy": noisy, **pictures, "truth": shot.truth}
            frame = next(iter(values.values())).frame
            self._shown = frame, {kind: cut(picture, region) for kind, picture in all_of_them.items()}

    def pictures(self, store: ArtifactStore) -> tuple[Picture, ...]:
        """Of the frame of the middle, put into the store."""
        return () if self._shown is None else _stored(store, *self._shown)

    def worst(self, store: ArtifactStore) -> tuple[WorstFrame, ...]:
        """Each subject's worst frames, the worst first, with their crops put into the store."""
        return tuple(
            WorstFrame(label, _METRIC, kept.index, kept.value, _stored(store, kept.index, kept.payload))
            for label, worst in self._worst.items()
            for kept in worst.frames()
        )


def _stored(store: ArtifactStore, frame: int, crops: Crops) -> tuple[Picture, ...]:
    return tuple(
        Picture(kind, frame, store.put_bytes(png(crop), "image/png")) for kind, crop in crops.items()
    )

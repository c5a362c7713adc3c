"""The metrics of clips, frame by frame as they come."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self

import numpy as np
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import Metric, metrics_named, without_truth

from autoisp_isp.metrics.frame import Frame, Seen
from autoisp_isp.metrics.measures import MEASURES
from autoisp_isp.metrics.picture import Picture, check_shapes, finite
from autoisp_isp.metrics.vmaf import Vmaf, ffmpeg_with_vmaf

_CHANNELS = 3


class FrameMetrics:
    """Measures the frames of a clip one after the other; remembers one frame, whatever the clip's length.

    >>> grey = np.full((3, 32, 32), 0.5, np.float32)
    >>> with FrameMetrics(["psnr", "noise_estimate"]) as metrics:
    ...     metrics.measure(grey, grey), metrics.measure(grey)
    ({'psnr': 99.0, 'noise_estimate': 0.0}, {'noise_estimate': 0.0})

    Use it from one thread. One object measures any number of clips, with `finish` between them.

    Args:
        names: of `autoisp_core.quality.METRICS`.

    Raises:
        InvalidArgumentError: field `metrics`, for an unknown name.
        FailedPreconditionError: reason NO_VMAF, if `vmaf` is named and no ffmpeg has it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.metrics = metrics_named(names)
        self._later = [metric for metric in self.metrics if metric.at_end]
        if self._later:
            ffmpeg_with_vmaf()
        self._temporal = any(metric.temporal and not metric.at_end for metric in self.metrics)
        self._past: Seen | None = None
        self._shape: tuple[int, ...] | None = None
        self._frames = 0
        self._vmaf: Vmaf | None = None
        self._vmaf_frames: list[int] = []

    def measure(self, picture: Picture, truth: Picture | None = None) -> dict[str, float]:
        """The values of the clip's next frame, in the order of `METRICS`.

        A metric that the frame can't have isn't in it: one that needs a truth without one, a temporal one of
        a clip's first frame or at a cut, noise of flat areas where nothing is flat. A frame that is refused
        leaves everything as it was.

        Args:
            picture, truth: (3, H, W) sRGB in [0, 1], of one size throughout a clip.

        Raises:
            InvalidArgumentError: field `picture` or `truth`: shape, type or size is wrong, a value isn't
                finite; or all metrics need a truth and there is none.
        """
        wanted = self.metrics if truth is not None else without_truth(self.metrics)
        self._check(picture, truth, wanted)
        frame = Frame(picture, truth, self._past)
        found = {metric.name: MEASURES[metric.name](frame) for metric in wanted if not metric.at_end}
        if self._later and truth is not None:
            self._vmaf = self._vmaf or Vmaf(*picture.shape[1:])
            self._vmaf.add(picture, truth)
            self._vmaf_frames.append(self._frames)
        self._past = frame.seen if self._temporal else None
        self._shape = picture.shape
        self._frames += 1
        return {name: value for name, value in found.items() if value is not None}

    def finish(self) -> dict[str, dict[int, float]]:
        """Ends the clip: values that only its end brings, by metric and index of the frame. The next frame is
        the first of another clip."""
        try:
            if self._vmaf is None:
                return {metric.name: {} for metric in self._later}
            return {"vmaf": dict(zip(self._vmaf_frames, self._vmaf.scores(), strict=True))}
        finally:
            self.close()

    def close(self) -> None:
        """Forgets the clip; nobody wants the values of its end."""
        if self._vmaf is not None:
            self._vmaf.close()
        self._vmaf, self._vmaf_frames = None, []
        self._past, self._shape, self._frames = None, None, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, picture: Picture, truth: Picture | None, wanted: list[Metric]) -> None:
        if not wanted:
            names = ", ".join(metric.name for metric in self.metrics)
            raise InvalidArgumentError(
                "truth", f"{names} can't be had without a truth, and the frame has none"
            )
        for field, array in (("picture", picture), ("truth", truth)):
            if array is not None:
                _check_array(field, array)
        if self._shape not in (None, picture.shape):
            raise InvalidArgumentError(
                "picture",
                f"is of shape {picture.shape} in a clip of {self._shape}: call finish() between clips",
            )
        if truth is not None:
            check_shapes(picture, truth)
        side = min(picture.shape[1:])
        for metric in wanted:
            if side < metric.smallest:
                raise InvalidArgumentError(
                    "picture", f"{metric.name} needs {metric.smallest} pixels or more a side, here are {side}"
                )


def _check_array(field: str, array: Picture) -> None:
    if not np.issubdtype(array.dtype, np.floating):
        raise InvalidArgumentError(
            field, f"must be floats in [0, 1], is {array.dtype}: divide by its full range"
        )
    if array.ndim != _CHANNELS or array.shape[0] != _CHANNELS or 0 in array.shape:
        raise InvalidArgumentError(field, f"must have the shape (3, H, W), has {array.shape}")
    finite(field, array)

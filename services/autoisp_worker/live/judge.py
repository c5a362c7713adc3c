"""Developing and measuring the frames of one stream. Imports torch."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

import numpy as np
from autoisp_isp.metrics import FrameMetrics
from numpy.typing import NDArray

from autoisp_worker.live.camera import Array, Pictures, camera_of
from autoisp_worker.live.domain import FrameAnswer, LiveFrame, StreamHeader
from autoisp_worker.live.subjects import OpenSubject


@dataclass(frozen=True)
class Developed:
    """A frame between the two stages.

    Args:
        picture: (3, H, W) sRGB in [0, 1].
        truth: as the picture, if there is one.
        seconds: that the subject took.
    """

    frame: LiveFrame
    picture: Array
    truth: Array | None
    seconds: float


class FrameJudge:
    """See :class:`autoisp_worker.live.ports.Judge`.

    Args:
        header: checked.
        subject: develops; None: frames are judged as they are. Closed with this.
    """

    def __init__(self, header: StreamHeader, subject: OpenSubject | None) -> None:
        self._header = header
        self._subject = subject
        self._metrics = FrameMetrics(header.metrics) if header.metrics else None
        self._darkroom = _Darkroom(header, subject) if subject is not None else None
        self._pictures = None if header.bayer else Pictures(header.format, header.format.developed_box)
        self._truths = Pictures(header.truth_format, header.format.developed_box)

    def develop(self, frame: LiveFrame) -> Developed:
        """Raises what the camera and the subject raise."""
        if self._darkroom is not None:
            return self._darkroom.develop(frame)
        assert self._pictures is not None
        truth = None if frame.truth is None else self._truths(frame.truth)
        return Developed(frame, self._pictures(frame.values), truth, 0.0)

    def measure(self, developed: Developed) -> FrameAnswer:
        """Metrics, and the picture in 8 bits where it is wanted."""
        metrics = self._metrics.measure(developed.picture, developed.truth) if self._metrics else {}
        return FrameAnswer(
            index=developed.frame.index,
            metrics=metrics,
            picture=_eight_bits(developed.picture) if self._header.return_pictures else None,
            develop_seconds=developed.seconds,
            complete_at=developed.frame.complete_at,
        )

    def finish(self) -> dict[str, float]:
        """Means of what only the end brings, such as VMAF."""
        late = self._metrics.finish() if self._metrics else {}
        return {name: float(np.mean(list(values.values()))) for name, values in late.items() if values}

    def close(self) -> None:
        """Ends the metrics' and the subject's processes."""
        try:
            if self._metrics is not None:
                self._metrics.close()
        finally:
            if self._subject is not None:
                self._subject.close()


class _Darkroom:
    """The camera, the window of frames, and the developer's stream."""

    def __init__(self, header: StreamHeader, subject: OpenSubject) -> None:
        assert header.sensor is not None
        self._camera = camera_of(header, subject.sensor(header.sensor))
        self._stream = subject.developer.start()
        self._window: deque[Array] = deque(maxlen=subject.developer.frames)

    def develop(self, frame: LiveFrame) -> Developed:
        shot = self._camera.shoot(frame)
        self._window.append(shot.raw)
        while len(self._window) < (self._window.maxlen or 1):
            self._window.append(shot.raw)  # before the first frame a window holds it again
        raw = np.stack(self._window)
        begun = time.perf_counter()
        picture = self._stream.run(raw, shot.gains, shot.ccm, shot.noise)
        seconds = time.perf_counter() - begun
        return Developed(frame, picture, shot.truth, seconds)


def _eight_bits(picture: Array) -> NDArray[np.uint8]:
    """(3, H, W) in [0, 1] as (H, W, 3)."""
    return np.ascontiguousarray(np.rint(picture.transpose(1, 2, 0) * 255.0).astype(np.uint8))

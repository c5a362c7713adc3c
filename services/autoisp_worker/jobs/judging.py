"""One subject under judgement: frames in, values out."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from autoisp_core.errors import FailedPreconditionError
from autoisp_core.quality import metrics_named
from autoisp_core.quality.results import Latency
from autoisp_isp.evaluation import Array, Stream
from autoisp_isp.isolated import IsolatedNetwork, IsolatedStream
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.reel import Shot

from autoisp_worker.domain import Quality
from autoisp_worker.domain_evaluation import FrameValues, SubjectResult
from autoisp_worker.jobs.faults import blamed
from autoisp_worker.jobs.subjects import THREADS, OpenSubject


class Judging:
    """Develops and measures the shots of one clip in order, with one subject.

    Each shot is begun, then finished, then measured; the next may be begun before this one is measured.

    Metrics that need larger pictures than the clip's are left out.

    Args:
        label: of the subject.
        subject: opened.
        metrics: names.
        whole: whether the shots are a whole clip. Metrics of neighbouring frames need that: of spread frames
            they are left out.
        first_frame: number of the clip's frame that has index 0.
    """

    def __init__(
        self, label: str, subject: OpenSubject, metrics: Sequence[str], *, whole: bool, first_frame: int
    ) -> None:
        self.label = label
        self.subject = subject
        self.frames: list[FrameValues] = []
        self._names = tuple(metrics)
        self._first_frame = first_frame
        self._wanted = [metric for metric in metrics_named(metrics) if whole or not metric.temporal]
        self._metrics: FrameMetrics | None = None
        self._stream: Stream | None = None
        self._seconds: list[float] = []
        self._megapixels = 0.0

    def begin(self, shot: Shot) -> None:
        """Lets a network begin with the frame; what runs in this process waits until `finish`."""
        developer = self.subject.developer
        with self._blamed(shot):
            if shot.fresh or self._stream is None:
                self._stream = developer.start()
                for back in range(shot.earlier if developer.recurrent else 0, 0, -1):
                    self._stream.skip(shot.window(developer.frames, back), shot.gains, shot.ccm, shot.noise)
            if isinstance(self._stream, IsolatedStream):
                self._stream.begin(shot.window(developer.frames), shot.gains, shot.ccm, shot.noise)

    def finish(self, shot: Shot) -> Array:
        """The picture (3, H, W) of the frame that was begun."""
        assert self._stream is not None
        with self._blamed(shot):
            if isinstance(self._stream, IsolatedStream):
                picture = self._stream.finish()
                seconds = self._stream.seconds
            else:
                begun = time.perf_counter()
                picture = self._stream.run(
                    shot.window(self.subject.developer.frames), shot.gains, shot.ccm, shot.noise
                )
                seconds = time.perf_counter() - begun
                if not np.isfinite(picture).all():
                    raise FailedPreconditionError(
                        "its picture has values that are no numbers (NaN or infinite)",
                        reason="OUTPUT_NOT_FINITE",
                    )
        self._megapixels = picture.shape[1] * picture.shape[2] / 1e6
        self._seconds.append(seconds)
        return picture

    def measure(self, shot: Shot, picture: Array) -> FrameValues:
        """The frame's values; those of `vmaf` come with `end`."""
        with self._blamed(shot):
            if self._metrics is None:
                side = min(shot.truth.shape[1:])
                self._metrics = FrameMetrics(
                    metric.name for metric in self._wanted if metric.smallest <= side
                )
            values = self._metrics.measure(picture, shot.truth)
        self.frames.append(FrameValues(self._first_frame + shot.index, values))
        return self.frames[-1]

    def end(self) -> None:
        """No more frames will come."""
        if self._metrics is None:
            return
        with blamed(self.label):
            for name, values in self._metrics.finish().items():
                for index, value in values.items():
                    self.frames[index] = FrameValues(
                        self.frames[index].frame, {**self.frames[index].values, name: value}
                    )

    def close(self) -> None:
        """Forgets what is not finished."""
        if self._metrics is not None:
            self._metrics.close()

    def latency(self) -> Latency:
        """Of the frames so far."""
        p50, p95, p99 = (
            float(value) for value in np.percentile(np.array(self._seconds) / self._megapixels, (50, 95, 99))
        )
        developer = self.subject.developer
        if not isinstance(developer, IsolatedNetwork):
            return Latency(p50, p95, p99, len(self._seconds), THREADS)
        with blamed(self.label):
            memory = developer.peak_memory_bytes
        return Latency(p50, p95, p99, len(self._seconds), developer.threads, developer.provider, memory)

    def result(self, latency: Latency, seconds_per_megapixel: float) -> SubjectResult:
        """All of it."""
        means = (
            math.fsum(frame.values[name] for frame in self.frames) / len(self.frames)
            for name in ("psnr", "ssim")
        )
        return SubjectResult(
            self.label,
            Quality(*means),
            self.subject.cost(seconds_per_megapixel),
            tuple(self.frames),
            self._names,
            latency,
            self.subject.devices(),
        )

    def _blamed(self, shot: Shot) -> AbstractContextManager[None]:
        return blamed(f"{self.label}, frame {self._first_frame + shot.index}")

"""What a client says of its stream before the first frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.quality import metrics_named, without_truth
from autoisp_core.sensor import Noise, SensorProfile

from autoisp_worker.live.domain.limits import StreamLimits

_KINDS = (FrameKind.RGB, FrameKind.BAYER)
_SMALLEST = 16


@dataclass(frozen=True)
class LiveSubject:
    """What develops the frames: one of these.

    Args:
        onnx: a graph of the model contract.
        builtin: name of a prototype that ships with AutoISP.
        model_version: ``models/{m}/versions/{v}``.
        prototype: whether it is the reference. One that can't be told a colour matrix gets none.
    """

    onnx: Artifact | None = None
    builtin: str = ""
    model_version: str = ""
    prototype: bool = False


@dataclass(frozen=True)
class StreamHeader:
    """The header, decoded.

    Args:
        format: of the frames; a truth is RGB of the same size and depth.
        subject: None: frames are judged as they are.
        sensor: None where nothing develops.
        with_truth: whether each frame is followed by its truth.
        metrics: names.
        return_pictures: whether developed frames are sent back.
        seed: of synthesised noise.
    """

    format: FrameFormat
    subject: LiveSubject | None
    sensor: SensorProfile | None
    with_truth: bool
    metrics: tuple[str, ...]
    return_pictures: bool
    seed: int

    @property
    def bayer(self) -> bool:
        """Whether frames are a sensor's mosaic."""
        return self.format.kind is FrameKind.BAYER

    @property
    def truth_format(self) -> FrameFormat:
        """Of the truth, where there is one."""
        return replace(self.format, kind=FrameKind.RGB, cfa="")

    @property
    def has_truth(self) -> bool:
        """Whether pictures are compared with one: a truth that is sent, or the RGB that raw was made from."""
        return self.with_truth or (self.subject is not None and not self.bayer)

    @property
    def frame_bytes(self) -> int:
        """Of a frame and its truth."""
        return self.format.frame_bytes + (self.truth_format.frame_bytes if self.with_truth else 0)

    def check(self, limits: StreamLimits) -> None:
        """Check all of it.

        Raises:
            InvalidArgumentError: naming the field, ``header.…``.
        """
        kind, bayer, sensor = self.format.kind, self.bayer, self.sensor
        peak = (1 << self.format.bit_depth) - 1
        for field, holds, message in (
            ("format.kind", kind in _KINDS, f"live frames are RGB or BAYER, not {kind}"),
            ("format.rotation", self.format.rotation == 0, "live frames are not turned: give rotation 0"),
            (
                "subject",
                not bayer or self.subject is not None,
                "a mosaic can't be judged as it is: say what develops it",
            ),
            (
                "with_truth",
                bayer or not self.with_truth or self.subject is None,
                "RGB frames that are developed are their own truth: leave with_truth out, or send the mosaic",
            ),
            ("sensor", not bayer or sensor is not None, "a mosaic can't be developed without a sensor"),
            (
                "sensor",
                self.subject is not None or sensor is None,
                "nothing is developed: leave the sensor out",
            ),
            (
                "sensor",
                not bayer or sensor is None or sensor.cfa == self.format.cfa,
                f"the frames' tile is {self.format.cfa}, the sensor's another: give the frames' own",
            ),
            (
                "sensor",
                not bayer or sensor is None or sensor.white_level <= peak,
                f"the sensor's white level is over {peak}, the most that {self.format.bit_depth} bits hold",
            ),
            (
                "metrics",
                self.subject is not None or bool(self.metrics),
                "nothing is developed and nothing measured: name metrics, or a subject",
            ),
        ):
            if not holds:
                raise InvalidArgumentError(f"header.{field}", message)
        self._check_size(limits)
        self._check_metrics()

    def _check_size(self, limits: StreamLimits) -> None:
        width, height = self.format.stored_width, self.format.stored_height
        for side, length in (("stored_width", width), ("stored_height", height)):
            if length % 2 or not _SMALLEST <= length <= limits.side:
                raise InvalidArgumentError(
                    f"header.format.{side}",
                    f"frames are {width}x{height}: either side must be even, at least {_SMALLEST} and at "
                    f"most {limits.side}, the server's AUTOISP_MAX_STREAM_SIDE",
                )

    def _check_metrics(self) -> None:
        if not self.metrics:
            return
        try:
            metrics = metrics_named(self.metrics)
        except InvalidArgumentError as error:
            raise InvalidArgumentError("header.metrics", error.message) from error
        measured = metrics if self.has_truth else without_truth(metrics)
        if not measured:
            raise InvalidArgumentError(
                "header.metrics",
                f"{', '.join(self.metrics)} can't be had without a truth: send it with each frame, or name "
                "metrics that need none",
            )
        box = self.format.developed_box
        for metric in measured:
            if min(box.width, box.height) < metric.smallest:
                raise InvalidArgumentError(
                    "header.metrics",
                    f"{metric.name} needs pictures of {metric.smallest} pixels or more a side, and these "
                    f"have {box.width}x{box.height}",
                )


def noise_of(sensor: SensorProfile) -> Noise:
    """Of a stream whose frames don't say it: the sensor's one noise, else the middle of its range."""
    noises = sensor.evaluation_noises()
    return noises[len(noises) // 2]

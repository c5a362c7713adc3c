"""Live evaluation as the client sees it: what is asked for, the messages, and the frames that come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import DataLossError, InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from numpy.typing import NDArray

from autoisp_client.live import PART_BYTES, Frame

Message = evaluation_pb2.EvaluateStreamRequest

_DEPTHS = {"B": 8, "H": 16}


@dataclass(frozen=True, eq=False)
class EvaluatedFrame:
    """A frame's answer.

    Attributes:
        index: from 0.
        metrics: by name; those that the frame can't have are left out.
        picture: (H, W, 3) uint8 sRGB as it was developed, or None if pictures were not wanted.
        develop_seconds: that the network or prototype took.
        latency_seconds: from the frame's last byte at the server to the answer.
    """

    index: int
    metrics: dict[str, float]
    picture: NDArray[np.uint8] | None
    develop_seconds: float
    latency_seconds: float


@dataclass(frozen=True)
class StreamOptions:
    """What is asked for; see :meth:`autoisp_client.Client.evaluate_stream`.

    Raises:
        InvalidArgumentError: metrics are one string, or the seed is too large.
    """

    subject: evaluation_pb2.Subject | None
    metrics: Sequence[str]
    pictures: bool
    sensor: common_pb2.Sensor | None
    bit_depth: int
    cfa: str
    with_truth: bool
    seed: int

    def __post_init__(self) -> None:
        if isinstance(self.metrics, str):
            raise InvalidArgumentError("metrics", f"give names in a list: [{self.metrics!r}]")
        if not -(1 << 63) <= self.seed < 1 << 63:
            raise InvalidArgumentError("seed", f"{self.seed} doesn't fit into 64 bits")


def subject_of(
    model_version: str, onnx: common_pb2.Artifact | None, builtin: str
) -> evaluation_pb2.Subject | None:
    """What develops; None if nothing does.

    Raises:
        InvalidArgumentError: more than one thing, or a network that was not uploaded.
    """
    if onnx is not None and not isinstance(onnx, common_pb2.Artifact):
        raise InvalidArgumentError("onnx", f"onnx is {onnx!r}; give what upload_artifact(path) returns")
    if sum((bool(model_version), onnx is not None, bool(builtin))) > 1:
        raise InvalidArgumentError("model_version", "give one of model_version, onnx and builtin")
    subject = evaluation_pb2.Subject(label="model")
    if model_version:
        subject.model_version = model_version
    elif onnx is not None:
        subject.onnx.CopyFrom(onnx)
    elif builtin:
        subject.prototype.builtin = builtin
    else:
        return None
    return subject


class StreamMessages:
    """Makes the messages; frames must be alike, and what belongs to a truth too."""

    def __init__(self, options: StreamOptions) -> None:
        self._options = options
        self._first: tuple[tuple[int, ...], str] | None = None
        self._format: FrameFormat | None = None
        self.count = 0

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """Of the pictures that come back; known once the first frame was sent."""
        assert self._format is not None
        box = self._format.developed_box
        return box.height, box.width, 3

    def of(
        self, frame: Frame, truth: Frame | None, metadata: evaluation_pb2.StreamMetadata | None
    ) -> Iterator[Message]:
        """Of the next frame, before the first one also the header.

        Raises:
            InvalidArgumentError: it is not like the first, no frame, or its truth is none.
        """
        view = _view(frame, "frames", f"frame {self.count}")
        kind = (view.shape or (), view.format)
        if self._first is None:
            self._format = self._format_of(view)
            self._first = kind
            yield self._header(self._format)
        elif kind != self._first:
            raise InvalidArgumentError(
                "frames", f"frame {self.count} is {kind}, and the first is {self._first}; give frames alike"
            )
        yield from self._parts(view, False, metadata)
        if truth is not None:
            true_view = _view(truth, "truth", f"the truth of frame {self.count}")
            wanted = ((*kind[0][:2], 3), kind[1])
            if (true_view.shape, true_view.format) != wanted:
                raise InvalidArgumentError(
                    "truth",
                    f"the truth of frame {self.count} must be {wanted}: RGB of the frame's size and type",
                )
            yield from self._parts(true_view, True, None)
        self.count += 1

    def _parts(
        self, view: memoryview, truth: bool, metadata: evaluation_pb2.StreamMetadata | None
    ) -> Iterator[Message]:
        data = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        for offset in range(0, len(data), PART_BYTES):
            piece = bytes(data[offset : offset + PART_BYTES])
            part = evaluation_pb2.StreamFramePart(
                frame=self.count,
                truth=truth,
                offset=offset,
                data=piece,
                metadata=metadata if offset == 0 else None,
            )
            yield Message(part=part)

    def _format_of(self, view: memoryview) -> FrameFormat:
        shape, depth = view.shape or (), _DEPTHS.get(view.format, 0)
        rgb = len(shape) == 3 and shape[2] == 3
        if not depth or not (rgb or len(shape) == 2) or 0 in shape:
            raise InvalidArgumentError(
                "frames",
                f"a frame is {shape} of type {view.format!r}; give (height, width, 3) RGB or (height, width) "
                "mosaics, uint8 or uint16",
            )
        kind = FrameKind.RGB if rgb else FrameKind.BAYER
        depth = self._options.bit_depth or depth
        try:
            return FrameFormat(kind, depth, shape[1], shape[0], cfa=self._options.cfa)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(error.field.removeprefix("format."), error.message) from error

    def _header(self, frame_format: FrameFormat) -> Message:
        options, kinds = self._options, ingest_pb2.FrameFormat
        rgb = frame_format.kind is FrameKind.RGB
        return Message(
            header=evaluation_pb2.StreamHeader(
                subject=options.subject,
                format=ingest_pb2.FrameFormat(
                    kind=kinds.KIND_RGB if rgb else kinds.KIND_BAYER,
                    bit_depth=frame_format.bit_depth,
                    full_range=True,
                    stored_width=frame_format.stored_width,
                    stored_height=frame_format.stored_height,
                    cfa=frame_format.cfa,
                ),
                sensor=options.sensor,
                with_truth=options.with_truth,
                metrics=options.metrics,
                return_pictures=options.pictures,
                seed=options.seed,
            )
        )


class StreamWindow:
    """What may be sent, and what has come back. Not locked: whoever uses it from two threads locks.

    Attributes:
        summary: the last answer.
    """

    def __init__(self, messages: StreamMessages, pictures: bool) -> None:
        self._messages = messages
        self._pictures = pictures
        self._allowed = self._answered = 0
        self._begun = 0
        self._picture = bytearray()
        self.summary: evaluation_pb2.StreamSummary | None = None

    def is_open(self, message: Message) -> bool:
        """Whether the message may be sent: the header may, and parts of frames that are begun."""
        if message.WhichOneof("payload") == "header" or message.part.frame < self._begun:
            return True
        return self._begun - self._answered < self._allowed

    def send(self, message: Message) -> None:
        """Note that a message goes out."""
        if message.WhichOneof("payload") == "part":
            self._begun = message.part.frame + 1

    def hear(self, response: evaluation_pb2.EvaluateStreamResponse) -> EvaluatedFrame | None:
        """Take an answer in; the frame that is complete with it.

        Raises:
            DataLossError: a part is missing.
        """
        match response.WhichOneof("payload"):
            case "ready":
                self._allowed = response.ready.window_frames
            case "picture":
                if response.picture.offset != len(self._picture):
                    raise _part_missing(response.picture.frame)
                self._picture += response.picture.data
            case "result":
                return self._result(response.result)
            case "summary":
                self.summary = response.summary
        return None

    def _result(self, result: evaluation_pb2.StreamFrameResult) -> EvaluatedFrame:
        picture = None
        if self._pictures:
            shape = self._messages.picture_shape
            if len(self._picture) != shape[0] * shape[1] * shape[2]:
                raise _part_missing(result.frame)
            picture = np.frombuffer(self._picture, np.uint8).reshape(shape)
            self._picture = bytearray()
        self._answered = result.frame + 1
        return EvaluatedFrame(
            result.frame, dict(result.metrics), picture, result.develop_seconds, result.latency_seconds
        )


def _view(values: Frame, field: str, what: str) -> memoryview:
    try:
        return memoryview(values)
    except TypeError as error:
        raise InvalidArgumentError(
            field, f"{what} is a {type(values).__name__}; give an array, such as numpy.asarray makes of it"
        ) from error


def _part_missing(frame: int) -> DataLossError:
    return DataLossError(
        f"the picture of frame {frame} came incomplete; begin the stream again", reason="PART_MISSING"
    )

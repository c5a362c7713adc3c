"""Live evaluation between the domain and the wire contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import numpy as np
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import DeadlineExceededError, InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from numpy.typing import NDArray

from autoisp_worker.live.domain import (
    FrameAnswer,
    FramePart,
    LiveSubject,
    Metadata,
    StreamHeader,
    Summary,
)
from autoisp_worker.wire import artifact_in, sensor_in

Response = evaluation_pb2.EvaluateStreamResponse

_PART_BYTES = 512 * 1024
_KINDS = {
    ingest_pb2.FrameFormat.KIND_RGB: FrameKind.RGB,
    ingest_pb2.FrameFormat.KIND_BAYER: FrameKind.BAYER,
}


async def open_stream(
    messages: AsyncIterator[evaluation_pb2.EvaluateStreamRequest], patience_s: float
) -> tuple[evaluation_pb2.StreamHeader, AsyncIterator[FramePart]]:
    """Split a stream into its header and the parts of frames, to be read once.

    Raises:
        InvalidArgumentError: the header is not the first message. A second one, or an empty message, raises
            it from the iterator.
        DeadlineExceededError: no message comes.
    """
    try:
        async with asyncio.timeout(patience_s):
            first = await anext(messages, None)
    except TimeoutError as error:
        raise DeadlineExceededError(
            f"no header came in {patience_s:g} seconds; send it at once", reason="SENDER_TOO_SLOW"
        ) from error
    if first is None or first.WhichOneof("payload") != "header":
        raise InvalidArgumentError(
            "header",
            "a stream begins with a header; send it once, before the first part",
            reason="HEADER_MISSING",
        )
    return first.header, _parts(messages)


async def _parts(messages: AsyncIterator[evaluation_pb2.EvaluateStreamRequest]) -> AsyncIterator[FramePart]:
    async for message in messages:
        if message.WhichOneof("payload") != "part":
            raise InvalidArgumentError(
                "header" if message.WhichOneof("payload") == "header" else "payload",
                "after the header only parts of frames may follow; begin another stream for other frames",
                reason="UNEXPECTED_MESSAGE",
            )
        part = message.part
        metadata = _metadata(part.metadata) if part.HasField("metadata") else None
        yield FramePart(part.frame, part.truth, part.offset, part.data, metadata)


def decode_header(message: evaluation_pb2.StreamHeader) -> StreamHeader:
    """From the first message.

    Raises:
        InvalidArgumentError: naming the field, ``header.…``.
    """
    try:
        subject = _subject(message.subject) if message.HasField("subject") else None
        form = _format(message.format)
        synthesised = subject is not None and form.kind is FrameKind.RGB
        sensor = sensor_in(message.sensor) if message.HasField("sensor") or synthesised else None
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"header.{error.field}", error.message, reason=error.reason) from error
    return StreamHeader(
        format=form,
        subject=subject,
        sensor=sensor,
        with_truth=message.with_truth,
        metrics=tuple(message.metrics),
        return_pictures=message.return_pictures,
        seed=message.seed,
    )


def encode_ready(window_frames: int) -> Response:
    """As the first answer."""
    return Response(ready=evaluation_pb2.StreamReady(window_frames=window_frames))


def encode_picture(frame: int, picture: NDArray[np.uint8]) -> Iterator[Response]:
    """As parts of a frame's picture (H, W, 3)."""
    data = picture.data.cast("B")
    for offset in range(0, len(data), _PART_BYTES):
        piece = bytes(data[offset : offset + _PART_BYTES])
        yield Response(picture=evaluation_pb2.StreamFramePart(frame=frame, offset=offset, data=piece))


def encode_result(answer: FrameAnswer, latency_seconds: float) -> Response:
    """As a frame's result."""
    return Response(
        result=evaluation_pb2.StreamFrameResult(
            frame=answer.index,
            metrics=answer.metrics,
            develop_seconds=answer.develop_seconds,
            latency_seconds=latency_seconds,
        )
    )


def encode_summary(summary: Summary) -> Response:
    """As the last answer."""
    return Response(
        summary=evaluation_pb2.StreamSummary(
            frames=summary.frames,
            metrics=summary.metrics,
            latency_p50_seconds=summary.p50,
            latency_p95_seconds=summary.p95,
            latency_p99_seconds=summary.p99,
        )
    )


def _subject(message: evaluation_pb2.Subject) -> LiveSubject:
    match message.WhichOneof("source"):
        case "onnx":
            return LiveSubject(onnx=artifact_in(message.onnx, "subject.onnx"))
        case "model_version":
            return LiveSubject(model_version=message.model_version)
        case "prototype" if message.prototype.WhichOneof("source") == "builtin":
            return LiveSubject(builtin=message.prototype.builtin, prototype=True)
        case "prototype" if message.prototype.WhichOneof("source") == "onnx":
            return LiveSubject(
                onnx=artifact_in(message.prototype.onnx, "subject.prototype.onnx"), prototype=True
            )
        case _:
            raise InvalidArgumentError(
                "subject", "the subject is empty; set onnx, prototype or model_version, or leave it out"
            )


def _format(message: ingest_pb2.FrameFormat) -> FrameFormat:
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise InvalidArgumentError("format.kind", "say what the frames are: RGB or BAYER")
    return FrameFormat(
        kind,
        message.bit_depth,
        message.stored_width,
        message.stored_height,
        rotation=message.rotation,
        cfa=message.cfa,
    )


def _metadata(message: evaluation_pb2.StreamMetadata) -> Metadata:
    for field, numbers, wanted in (("gains", message.gains, 3), ("ccm", message.ccm, 9)):
        if len(numbers) not in (0, wanted):
            raise InvalidArgumentError(
                f"part.metadata.{field}", f"{field} has {len(numbers)} numbers: give {wanted}, or none"
            )
    return Metadata(
        gains=tuple(message.gains) or None,
        ccm=tuple(message.ccm) or None,
        noise=(message.noise.shot, message.noise.read) if message.HasField("noise") else None,
    )

"""Live ingest between the domain and the wire contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, SensorProfile, builtin

from autoisp_ingest.domain import FramePart, LiveHeader, full_range
from autoisp_ingest.messages import decode_format


async def open_frames(
    messages: AsyncIterator[ingest_pb2.IngestFramesRequest],
) -> tuple[ingest_pb2.IngestFramesHeader, AsyncIterator[FramePart]]:
    """Split a stream into its header and the parts of frames, to be read once.

    Raises:
        InvalidArgumentError: the header is not the first message. A second one, or an empty message, raises
            it from the iterator.
    """
    first = await anext(messages, None)
    if first is None or first.WhichOneof("payload") != "header":
        raise InvalidArgumentError(
            "header",
            "live frames begin with a header; send it once, before the first part",
            reason="HEADER_MISSING",
        )
    return first.header, _parts(messages)


async def _parts(messages: AsyncIterator[ingest_pb2.IngestFramesRequest]) -> AsyncIterator[FramePart]:
    async for message in messages:
        if message.WhichOneof("payload") != "part":
            raise InvalidArgumentError(
                "header" if message.WhichOneof("payload") == "header" else "payload",
                "after the header only parts of frames may follow; end the stream to begin another clip",
                reason="UNEXPECTED_MESSAGE",
            )
        part = message.part
        yield FramePart(part.frame, part.time_ns, part.offset, part.data)


def decode_live_header(message: ingest_pb2.IngestFramesHeader) -> LiveHeader:
    """From the first message of live frames.

    Raises:
        InvalidArgumentError: format or sensor are malformed; names the field, ``header.…``.
    """
    sensor = None
    try:
        frame_format = decode_format(message.format)
        if message.HasField("sensor"):
            sensor = _sensor(message.sensor)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"header.{error.field}", error.message, reason=error.reason) from error
    return full_range(LiveHeader(frame_format, message.frame_rate, sensor, message.display_name))


def encode_acknowledgement(stored_frames: int, window_bytes: int) -> ingest_pb2.IngestFramesResponse:
    """As the wire's acknowledgement."""
    return ingest_pb2.IngestFramesResponse(
        acknowledgement=ingest_pb2.IngestFramesResponse.Acknowledgement(
            stored_frames=stored_frames, window_bytes=window_bytes
        )
    )


def _sensor(message: common_pb2.Sensor) -> SensorProfile:
    if message.WhichOneof("profile") == "toml":
        profile = SensorProfile.from_toml(message.toml)
    else:
        profile = builtin(message.builtin)
    if message.HasField("test_noise"):
        profile = profile.with_test_noise(Noise(message.test_noise.shot, message.test_noise.read))
    return profile.with_identity_ccm() if message.identity_ccm else profile

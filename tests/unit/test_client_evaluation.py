"""What the client sends of frames that are evaluated, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_client.evaluated import StreamMessages, StreamOptions, StreamWindow
from autoisp_client.moving_pictures import _frames
from autoisp_core.errors import DataLossError, InvalidArgumentError

OPTIONS = StreamOptions(None, ["blur"], True, None, 0, "", True, 7)
FRAME = np.arange(512 * 700 * 3, dtype=np.uint32).astype(np.uint8).reshape(512, 700, 3)
Response = evaluation_pb2.EvaluateStreamResponse


def test_a_frame_and_its_truth_are_cut_into_parts() -> None:
    stream = StreamMessages(OPTIONS)
    header, *messages = stream.of(FRAME, FRAME[::-1], None)
    assert (header.header.format.stored_width, header.header.format.stored_height) == (700, 512)
    assert header.header.with_truth
    assert max(len(message.part.data) for message in messages) <= 1 << 20
    for truth, sent in ((False, FRAME), (True, FRAME[::-1])):
        parts = [message.part for message in messages if message.part.truth == truth]
        assert len(parts) > 2
        assert b"".join(part.data for part in parts) == sent.tobytes()
        assert [part.offset for part in parts] == [
            sum(len(other.data) for other in parts[:index]) for index in range(len(parts))
        ]
    again = list(stream.of(FRAME, FRAME, None))
    assert {message.part.frame for message in again} == {1}
    with pytest.raises(InvalidArgumentError, match="truth of frame 2"):
        list(stream.of(FRAME, FRAME[:, :, 0], None))


@pytest.mark.parametrize(
    ("frame", "changes", "field"),
    [
        ([[1, 2]], {}, "frames"),
        (None, {}, "frames"),
        (FRAME.astype(">u2"), {}, "frames"),
        (FRAME.astype(np.float32), {}, "frames"),
        (FRAME[:, :, 0], {}, "cfa"),
        (FRAME, {"bit_depth": 99}, "bit_depth"),
        (FRAME, {"metrics": "psnr"}, "metrics"),
        (FRAME, {"seed": 1 << 63}, "seed"),
    ],
)
def test_what_can_not_be_sent_is_named(frame: Any, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        list(StreamMessages(replace(OPTIONS, **changes)).of(frame, FRAME, None))
    assert caught.value.field == field


def test_a_truth_that_is_no_array_is_named() -> None:
    with pytest.raises(InvalidArgumentError, match="truth of frame 0") as caught:
        list(StreamMessages(OPTIONS).of(FRAME, [1], None))
    assert caught.value.field == "truth"


def test_the_window_counts_frames() -> None:
    stream = StreamMessages(OPTIONS)
    window = StreamWindow(stream, pictures=False)
    header, *messages = stream.of(FRAME, FRAME, None)
    assert window.is_open(header)
    window.send(header)
    assert not window.is_open(messages[0]), "nothing before the first answer"
    window.hear(Response(ready=evaluation_pb2.StreamReady(window_frames=1)))
    for message in messages:
        assert window.is_open(message)
        window.send(message)
    (following, *_) = stream.of(FRAME, FRAME, None)
    assert not window.is_open(following)
    frame = window.hear(Response(result=evaluation_pb2.StreamFrameResult(frame=0, metrics={"blur": 0.5})))
    assert frame
    assert (frame.index, frame.metrics, frame.picture) == (0, {"blur": 0.5}, None)
    assert window.is_open(following)


def test_a_picture_that_comes_incomplete_is_said_to_be() -> None:
    def part(offset: int, data: bytes) -> Response:
        return Response(picture=evaluation_pb2.StreamFramePart(offset=offset, data=data))

    stream = StreamMessages(OPTIONS)
    list(stream.of(FRAME, FRAME, None))
    result = Response(result=evaluation_pb2.StreamFrameResult(frame=0))
    whole = FRAME.tobytes()
    window = StreamWindow(stream, pictures=True)
    assert window.hear(part(0, whole[:9])) is None
    assert window.hear(part(9, whole[9:])) is None
    frame = window.hear(result)
    assert frame
    np.testing.assert_array_equal(frame.picture, FRAME)
    window = StreamWindow(stream, pictures=True)
    with pytest.raises(DataLossError):
        window.hear(part(9, whole[9:]))
    window.hear(part(0, whole[:9]))
    with pytest.raises(DataLossError):
        window.hear(result)


def test_a_device_is_read_as_it_delivers() -> None:
    """FFmpeg's test source stands for a webcam: it is opened in the same way, and has no end."""
    frames = _frames("testsrc=size=64x48:rate=10", "lavfi", "can't open it")
    first, second = next(frames), next(frames)
    assert (first.shape, first.dtype) == ((48, 64, 3), np.uint8)
    assert first.std() > 10
    assert second.shape == first.shape
    frames.close()  # type: ignore[attr-defined]

"""Live evaluation: the part of both clients that sends frames and gets them back developed and judged."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.evaluated import EvaluatedFrame, StreamOptions, subject_of
from autoisp_client.evaluation_calls import evaluate_frames, evaluate_frames_async
from autoisp_client.evaluation_input import shots, shots_async
from autoisp_client.live import Frame

Footage: TypeAlias = Iterable[Frame] | Path | str | int
"""Arrays, the path of a video file, or the number of a webcam."""

OnSummary = Callable[[evaluation_pb2.StreamSummary], None]


class LiveEvaluation:
    """See the whole client."""

    _live: Connection
    _live_stub: evaluation_pb2_grpc.LiveEvaluationServiceStub

    def evaluate_stream(
        self,
        frames: Footage,
        *,
        model_version: str = "",
        onnx: common_pb2.Artifact | None = None,
        builtin: str = "",
        metrics: Sequence[str] = (),
        pictures: bool = True,
        sensor: common_pb2.Sensor | None = None,
        truth: Iterable[Frame] | None = None,
        metadata: Iterable[evaluation_pb2.StreamMetadata | None] | None = None,
        bit_depth: int = 0,
        cfa: str = "",
        seed: int = 0,
        on_summary: OnSummary | None = None,
    ) -> Iterator[EvaluatedFrame]:
        """Has frames developed and judged while they come, and gives them back in order.

        A thread sends frames, no faster than they are answered. Leaving the loop ends the stream. Nothing is
        repeated: what a camera sent doesn't come twice.

        Args:
            frames: arrays (height, width, 3) RGB or (height, width) mosaic, uint8 or uint16, all alike and of
                even size; the path of a video file; or the number of a webcam.
            model_version: ``models/{m}/versions/{v}`` that develops them, by number.
            onnx: or a network, as :meth:`upload_artifact` gives it.
            builtin: or a prototype, such as ``classical``. None of the three: frames are judged as they are.
            metrics: names; see the guide "metrics". RGB frames that are developed are their own truth.
            pictures: whether developed frames are wanted.
            sensor: of a mosaic: levels, gains, colour matrix and noise. Of RGB frames: the sensor that raw is
                made for, by default ``phone``.
            truth: for each mosaic, or each frame that is judged as it is: RGB of its size and type.
            metadata: for each mosaic, what the camera says of it; None: as before.
            bit_depth: significant bits; by default 8 for uint8 and 16 for uint16.
            cfa: of a mosaic, its row-major 2×2 tile, such as ``RGGB``.
            seed: of the noise of raw that is made.
            on_summary: told means and latencies at the end.

        Raises:
            InvalidArgumentError: the frames differ, or are not what can be judged.
            NotFoundError: there is no such version.
            FailedPreconditionError: the network crashed, hung, or gave values that are no numbers.
        """
        options = StreamOptions(
            subject=subject_of(model_version, onnx, builtin),
            metrics=metrics,
            pictures=pictures,
            sensor=sensor,
            bit_depth=bit_depth,
            cfa=cfa,
            with_truth=truth is not None,
            seed=seed,
        )
        sent = shots(frames, truth, metadata)
        return evaluate_frames(self._live_stub.EvaluateStream, sent, options, self._live.address, on_summary)


class AsyncLiveEvaluation:
    """See the whole client."""

    _live: AsyncConnection
    _live_stub: evaluation_pb2_grpc.LiveEvaluationServiceAsyncStub

    def evaluate_stream(
        self,
        frames: Footage | AsyncIterable[Frame],
        *,
        model_version: str = "",
        onnx: common_pb2.Artifact | None = None,
        builtin: str = "",
        metrics: Sequence[str] = (),
        pictures: bool = True,
        sensor: common_pb2.Sensor | None = None,
        truth: Iterable[Frame] | AsyncIterable[Frame] | None = None,
        metadata: Iterable[evaluation_pb2.StreamMetadata | None] | None = None,
        bit_depth: int = 0,
        cfa: str = "",
        seed: int = 0,
        on_summary: OnSummary | None = None,
    ) -> AsyncIterator[EvaluatedFrame]:
        """As :meth:`autoisp_client.Client.evaluate_stream`, to be iterated with ``async for``.

        Frames and truth may be asynchronous iterables. Whoever leaves the loop early closes the iterator, for
        example with ``contextlib.aclosing``, since Python does it at some later time.
        """
        options = StreamOptions(
            subject=subject_of(model_version, onnx, builtin),
            metrics=metrics,
            pictures=pictures,
            sensor=sensor,
            bit_depth=bit_depth,
            cfa=cfa,
            with_truth=truth is not None,
            seed=seed,
        )
        sent = shots_async(frames, truth, metadata)
        return evaluate_frames_async(
            self._live_stub.EvaluateStream, sent, options, self._live.address, on_summary
        )

"""A network in a process of its own, for whoever develops frames with it."""

from __future__ import annotations

import time
import weakref
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.cost import OnnxCost
from autoisp_isp.isolated.process import ChildProcess, OnWait
from autoisp_isp.isolated.room import Array, frame_bytes, frame_views

LOAD_LIMIT_S = 60.0
"""For starting the process, loading the graph and counting its cost."""


class IsolatedNetwork:
    """An ONNX graph of the model contract, in a child process. A `Prototype` like any other.

    Its pictures are those of `autoisp_isp.runtime_session.load_session`, bit for bit. For one thread at a
    time; its streams may take turns. The child ends with `close`, and with this process however that ends.

    Once the graph crashed, hung, ran out of memory or gave a picture that is none, the network stays broken,
    and says so. What is refused of a frame (its size, say) breaks nothing.

    Args:
        model: serialised ONNX; may be anything, from anybody. Or the name of a prototype that ships with
            AutoISP, `builtin:classical`, since OpenCV can't be stopped in the middle of a frame, either.
        threads: threads for the arithmetic, at least 1.
        limit_s: how long a frame may take.
        load_limit_s: how long starting and loading may take.
        memory_bytes: by how much the child may grow; None: no limit.
        provider: `cpu` or `cuda`.
        field: name of the argument that errors speak of.
        on_wait: called about ten times a second while the child is waited for; may raise, then close it.

    Raises:
        InvalidArgumentError: no valid ONNX, or not of the model contract.
        FailedPreconditionError: reason NO_PROVIDER; or one of those that `IsolatedStream.run` has.

    Attributes:
        frames, recurrent, inputs: see `autoisp_isp.prototype.Prototype`.
        cost: counted from the graph; None where the arithmetic can't be counted.
        provider: what runs it, by ONNX Runtime's name; empty for a builtin.
        threads: as given.
        load_seconds: for opening the graph in ONNX Runtime.
        start_seconds: for all, the start of the process included.
    """

    def __init__(
        self,
        model: bytes | str,
        threads: int = 1,
        *,
        limit_s: float,
        load_limit_s: float = LOAD_LIMIT_S,
        memory_bytes: int | None = None,
        provider: str = "cpu",
        field: str = "model",
        on_wait: OnWait = lambda: None,
    ) -> None:
        if threads < 1:
            raise InvalidArgumentError("threads", f"must be 1 or more, is {threads}")
        begun = time.perf_counter()
        self._limit_s = limit_s
        self._process = ChildProcess(on_wait)
        self._streams = 0
        self._dropped: list[int] = []
        self._pending: IsolatedStream | None = None
        self._peak = 0
        try:
            graph, builtin = (b"", model) if isinstance(model, str) else (model, "")
            self._process.room.grow(len(graph))
            self._process.room.view(len(graph))[:] = graph
            self._process.send(
                {
                    "do": "load",
                    "builtin": builtin,
                    "size": len(graph),
                    "threads": threads,
                    "field": field,
                    "provider": provider,
                    "memory_bytes": memory_bytes,
                }
            )
            answer = self._process.receive(load_limit_s)
        except BaseException:
            self._process.close()
            raise
        self.frames: int = answer["frames"]
        self.recurrent: bool = answer["recurrent"]
        self.inputs: tuple[str, ...] = tuple(answer["inputs"])
        self.provider: str = answer["provider"]
        self.threads = threads
        self.cost: OnnxCost | None = None if answer["cost"] is None else OnnxCost(**answer["cost"])
        self.load_seconds: float = answer["seconds"]
        self.start_seconds = time.perf_counter() - begun

    @property
    def macs_per_pixel(self) -> float | None:
        """See `autoisp_isp.prototype.Prototype`."""
        return None if self.cost is None else self.cost.macs_per_pixel

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def peak_memory_bytes(self) -> int:
        """By how much the child has grown at its peak since before it loaded the graph, frames included; 0
        where the system doesn't tell. Asks the child; of a broken one it is what was known last."""
        if self._process.broken is None and self._pending is None:
            self._process.send({"do": "memory"})
            self._peak = self._process.receive(self._limit_s)["bytes"]
        return self._peak

    def start(self) -> IsolatedStream:
        """A stream of frames in order, that begins without any past."""
        self._streams += 1
        stream = IsolatedStream(self, self._streams)
        weakref.finalize(stream, self._dropped.append, self._streams)
        return stream

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """See `autoisp_isp.prototype.Prototype.run`."""
        stream = self.start()
        if self.recurrent:
            for end in range(self.frames, len(raw)):
                stream.skip(raw[:end], gains, ccm, noise)
        return stream.run(raw, gains, ccm, noise)

    def close(self) -> None:
        """Ends the child."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, stream: IsolatedStream, inputs: tuple[Array, Array, Array, Array], wanted: bool) -> None:
        if self._pending is not None:
            raise RuntimeError("a frame is in work: finish it before the next one begins")
        raw = np.asarray(inputs[0])[-self.frames :]
        if raw.ndim != 4 or raw.shape[1] != 4 or 0 in raw.shape:
            raise InvalidArgumentError("raw", f"must have the shape (T, 4, h, w), has {raw.shape}")
        shape = (raw.shape[0], raw.shape[2], raw.shape[3])
        room = self._process.room
        if self._process.broken is None:
            room.grow(frame_bytes(*shape))
            place, side, _ = frame_views(room, shape)
            place[:] = raw
            side[:] = np.concatenate([np.asarray(value, np.float32).ravel() for value in inputs[1:]])
        dropped = self._dropped[:]
        del self._dropped[: len(dropped)]
        self._process.send(
            {"do": "run", "stream": stream.number, "shape": shape, "wanted": wanted, "drop": dropped}
        )
        self._pending = stream
        stream.shape = shape

    def _finish(self, stream: IsolatedStream, wanted: bool) -> tuple[Array | None, dict[str, Any]]:
        if self._pending is not stream:
            raise RuntimeError("no frame of this stream is in work: begin one")
        self._pending = None
        answer = self._process.receive(self._limit_s)
        return (frame_views(self._process.room, stream.shape)[2].copy() if wanted else None), answer


class IsolatedStream:
    """Frames of one clip in order; what the graph carries from frame to frame is kept in the child.

    `run` is `begin` and `finish`; between the two the child works and the caller may do something else. A
    network has one frame in work, whichever stream it belongs to.

    Attributes:
        number: of the stream.
        seconds: that the last frame took in the child, wall time, without the way there and back.
        busy_seconds: processor time of the thread that ran it.
    """

    def __init__(self, network: IsolatedNetwork, number: int) -> None:
        self._network = network
        self.number = number
        self.shape = (0, 0, 0)
        self.seconds = 0.0
        self.busy_seconds = 0.0

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """See `autoisp_isp.evaluation.Stream.run`.

        Raises:
            InvalidArgumentError: the frame doesn't fit the stream or the graph; or the graph gives a picture
                of another size than 2h × 2w.
            FailedPreconditionError: reason MODEL_CRASHED, which names the signal or exit code;
                MODEL_TIMED_OUT; MODEL_OUT_OF_MEMORY; OUTPUT_NOT_FINITE, whose `frame` counts the frames of
                this stream from 0; or any of these, since the network broke before.
        """
        self.begin(raw, gains, ccm, noise)
        return self.finish()

    def skip(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> None:
        """See `autoisp_isp.evaluation.Stream.skip`; raises as `run`."""
        self._network._begin(self, (raw, gains, ccm, noise), wanted=False)
        self._take(wanted=False)

    def begin(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> None:
        """Lets the child begin with the stream's next frame; the arrays may be written over at once."""
        self._network._begin(self, (raw, gains, ccm, noise), wanted=True)

    def finish(self) -> npt.NDArray[np.float32]:
        """The picture of the frame that was begun; raises as `run`."""
        picture = self._take(wanted=True)
        assert picture is not None
        return picture

    def _take(self, wanted: bool) -> Array | None:
        picture, answer = self._network._finish(self, wanted)
        self.seconds, self.busy_seconds = answer["seconds"], answer["busy"]
        return picture

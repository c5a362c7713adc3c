"""The process that runs one graph for another process: `python -m autoisp_isp.isolated.child SOCKET MEMORY`.

Messages are JSON, one each way for every request; pixels are in the shared memory. For a graph it imports no
torch, so that it starts within a moment.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np
from autoisp_core.errors import AutoISPError, FailedPreconditionError, InvalidArgumentError

from autoisp_isp.contract import parse_onnx
from autoisp_isp.cost import count_cost
from autoisp_isp.cost_operators import countable
from autoisp_isp.isolated.limits import end_with, limit_growth, no_core, no_memory, status_bytes, wants_memory
from autoisp_isp.isolated.room import Array, Room, frame_views
from autoisp_isp.runtime_session import PROVIDERS, OnnxNetwork, OnnxStream, load_session


class _Faulty(Exception):  # noqa: N818  (carries the error that is meant)
    """The graph is at fault, not what it was given: nothing of it is to be trusted any more."""

    def __init__(self, error: AutoISPError) -> None:
        super().__init__(str(error))
        self.error = error


class _Builtin:
    """A prototype that ships with AutoISP, where a graph would be. It remembers nothing of a stream."""

    def __init__(self, name: str, threads: int) -> None:
        from autoisp_isp.prototype import load_prototype  # imports torch, which graphs don't need

        self.prototype = load_prototype(name, threads=threads)

    def start(self) -> _Builtin:
        return self

    def unclipped(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        return self.prototype.run(raw, gains, ccm, noise)

    def skip(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> None:
        """Nothing to do."""


class _Child:
    """One graph and its streams."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._network: OnnxNetwork | _Builtin | None = None
        self._field = "model"
        self._streams: dict[int, OnnxStream | _Builtin] = {}
        self._frames: dict[int, int] = {}
        self._peak_before = 0

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        self._field = str(request["field"])
        self._peak_before = _peak_bytes()
        model = bytes(self._room.view(request["size"]))
        if request["memory_bytes"] is not None:
            limit_growth(int(request["memory_bytes"]))
        if request["builtin"]:
            return self._load_builtin(request["builtin"], request["threads"])
        try:
            begun = time.perf_counter()
            network = load_session(model, request["threads"], field=self._field, provider=request["provider"])
            seconds = time.perf_counter() - begun
            counted = None
            if countable(parse_onnx(model, field=self._field)):
                counted = asdict(count_cost(model, field=self._field))
        except AutoISPError as error:
            raise _Faulty(no_memory() if wants_memory(error) else error) from error
        self._network = network
        contract = network.contract
        return {
            "frames": contract.frames,
            "recurrent": contract.recurrent,
            "inputs": contract.inputs,
            "provider": PROVIDERS[request["provider"]],
            "seconds": seconds,
            "cost": counted,
        }

    def _load_builtin(self, name: str, threads: int) -> dict[str, Any]:
        begun = time.perf_counter()
        try:
            self._network = _Builtin(name, threads)
        except InvalidArgumentError as error:
            raise _Faulty(InvalidArgumentError(self._field, error.message)) from error
        prototype = self._network.prototype
        return {
            "frames": prototype.frames,
            "recurrent": prototype.recurrent,
            "inputs": prototype.inputs,
            "provider": "",
            "seconds": time.perf_counter() - begun,
            "cost": None,
        }

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._network is not None
        for number in request["drop"]:
            self._streams.pop(number, None)
            self._frames.pop(number, None)
        number, wanted = request["stream"], request["wanted"]
        if number not in self._streams:
            self._streams[number], self._frames[number] = self._network.start(), 0
        raw, side, place = frame_views(self._room, tuple(request["shape"]))
        stream, arguments = self._streams[number], (raw, side[:3], side[3:12].reshape(3, 3), side[12:])
        frame = self._frames[number]
        begun, busy = time.perf_counter(), time.thread_time()
        try:
            if wanted:
                picture = stream.unclipped(*arguments)
            else:
                stream.skip(*arguments)
        except InvalidArgumentError:
            raise
        except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
            raise _Faulty(no_memory() if wants_memory(error) else self._refused(error)) from error
        seconds, busy = time.perf_counter() - begun, time.thread_time() - busy
        if wanted:
            self._show(picture, place, frame)
        self._frames[number] = frame + 1
        return {"seconds": seconds, "busy": busy}

    def memory(self) -> dict[str, Any]:
        return {"bytes": max(0, _peak_bytes() - self._peak_before)}

    def _show(self, picture: Array, place: Array, frame: int) -> None:
        if picture.shape != place.shape:
            raise _Faulty(
                InvalidArgumentError(
                    self._field,
                    f"output 'srgb' is {picture.shape} for raw of {place.shape[1] // 2} × "
                    f"{place.shape[2] // 2}; it must be {place.shape}, twice that size",
                )
            )
        # The sum of what is finite is finite, and takes a fraction of the time of looking at each.
        if not np.isfinite(cv2.norm(picture.reshape(3, -1), cv2.NORM_L1)):
            raise _Faulty(
                FailedPreconditionError(
                    f"the model's picture of frame {frame} of its stream has values that are no "
                    "numbers (NaN or infinite); train it again with another seed",
                    reason="OUTPUT_NOT_FINITE",
                    metadata={"frame": str(frame)},
                )
            )
        np.clip(picture, 0.0, 1.0, out=place)

    def _refused(self, error: Exception) -> AutoISPError:
        reason = " ".join(str(error).split())[:200]
        return InvalidArgumentError(self._field, f"ONNX Runtime can't run the model: {reason}")


def _peak_bytes() -> int:
    return status_bytes("VmHWM")


def _answer(child: _Child, request: dict[str, Any]) -> dict[str, Any]:
    try:
        match request["do"]:
            case "load":
                return child.load(request)
            case "run":
                return child.run(request)
            case _:
                return child.memory()
    except _Faulty as faulty:
        return {"error": _parts(faulty.error), "broken": True}
    except MemoryError:
        return {"error": _parts(no_memory()), "broken": True}
    except AutoISPError as error:
        return {"error": _parts(error), "broken": False}


def _parts(error: AutoISPError) -> list[Any]:
    return [error.code.value, error.reason, error.message, error.metadata]


def main() -> None:
    """Serve until the other end closes."""
    # A stop is for the process at the other end, which may still want pictures.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    no_core()
    connection, room = Connection(int(sys.argv[1])), Room(int(sys.argv[2]))
    cv2.setNumThreads(1)
    end_with(connection.fileno())
    child = _Child(room)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request = json.loads(connection.recv_bytes())
            connection.send_bytes(json.dumps(_answer(child, request)).encode())


if __name__ == "__main__":
    main()

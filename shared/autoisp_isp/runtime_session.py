"""Running and timing ONNX graphs of the model contract in ONNX Runtime, with a stated number of threads."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.contract import Contract, check_contract
from autoisp_isp.cost import grey_inputs

Array = npt.NDArray[np.float32]


class OnnxNetwork:
    """A graph of the model contract, ready to run. Safe for use by several threads at once.

    Args:
        contract: what the graph takes.
        session: the graph in ONNX Runtime.
        threads: threads the session may use.
    """

    def __init__(self, contract: Contract, session: onnxruntime.InferenceSession, threads: int) -> None:
        self.contract = contract
        self.threads = threads
        self._session = session

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """Develops the newest frame of a window; the graph gets those inputs only that it has.

        Args:
            raw: (T, 4, h, w) packed RGGB, oldest frame first, linear, before white balance. T may exceed
                what the
                graph takes: it gets the newest frames.
            gains: (3,) R, G, B.
            ccm: (3, 3) camera to linear sRGB.
            noise: (2,) shot and read variance.

        Returns:
            sRGB (3, 2h, 2w) in [0, 1], float32.

        Raises:
            InvalidArgumentError: fewer frames than the graph takes.
        """
        frames = self.contract.frames
        if raw.shape[0] < frames:
            raise InvalidArgumentError("raw", f"the network takes {frames} frames, not {raw.shape[0]}")
        window = raw[-frames:] if self.contract.stacked else raw[-1]
        values = {"raw": window, "gains": gains, "ccm": ccm, "noise": noise}
        batch = self.run_inputs({name: values[name][None] for name in self.contract.inputs})
        srgb: Array = batch[0]
        return srgb

    def run_inputs(self, inputs: dict[str, Array]) -> Array:
        """Runs batched inputs as they are: (N, …) each; gives (N, 3, 2h, 2w)."""
        given = {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}
        srgb: Array = self._session.run(["srgb"], given)[0]
        return srgb


@dataclass(frozen=True, slots=True)
class Latency:
    """Measured running time.

    Attributes:
        seconds_per_megapixel: median seconds per million output pixels.
        spread: half the distance between the quartiles, in the same unit.
        threads: threads that were used.
        repeats: timed runs.
    """

    seconds_per_megapixel: float
    spread: float
    threads: int
    repeats: int


def load_session(model: bytes, threads: int = 1, *, field: str = "model") -> OnnxNetwork:
    """Loads a graph for the CPU.

    Args:
        model: serialised ONNX that obeys the model contract.
        threads: threads for the arithmetic, at least 1.
        field: name of the argument that errors speak of.

    Raises:
        InvalidArgumentError: no valid ONNX, not the contract's inputs and outputs, or ONNX Runtime refuses
        it.
    """
    contract = check_contract(model, field=field)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads that spin would take the core from whoever trains beside us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        reason = " ".join(str(error).split())[:200]
        raise InvalidArgumentError(field, f"ONNX Runtime can't load the model: {reason}") from error
    return OnnxNetwork(contract, session, threads)


def measure_latency(network: OnnxNetwork, height: int, width: int, repeats: int = 5) -> Latency:
    """Times a network on a grey picture, after one run that doesn't count.

    Args:
        network: from :func:`load_session`; its threads are the ones used.
        height: rows of the output picture, even.
        width: columns of the output picture, even.
        repeats: timed runs, at least 1.
    """
    inputs = grey_inputs(network.contract, height, width)
    network.run_inputs(inputs)
    megapixels = height * width / 1e6
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        network.run_inputs(inputs)
        times.append((time.perf_counter() - start) / megapixels)
    low, _, high = statistics.quantiles(times, n=4) if repeats > 1 else (times[0],) * 3
    return Latency(statistics.median(times), (high - low) / 2, network.threads, repeats)

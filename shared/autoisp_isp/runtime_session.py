"""Running and timing ONNX graphs of the model contract in ONNX Runtime, with a stated number of threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError

from autoisp_isp.contract import Contract, check_contract, parse_onnx
from autoisp_isp.cost import grey_inputs
from autoisp_isp.scene_cut import SceneCuts
from autoisp_isp.states import only_states

Array = npt.NDArray[np.float32]

CPU = "cpu"
PROVIDERS = {CPU: "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""What runs a graph, and what ONNX Runtime calls it."""


class OnnxNetwork:
    """A graph of the model contract, ready to run. Safe for use by several threads at once.

    Args:
        contract: what the graph takes.
        session: the graph in ONNX Runtime.
        threads: threads the session may use.
        state_session: the part of the graph that makes its states, if it has any.
    """

    def __init__(
        self,
        contract: Contract,
        session: onnxruntime.InferenceSession,
        threads: int,
        state_session: onnxruntime.InferenceSession | None = None,
    ) -> None:
        self.contract = contract
        self.threads = threads
        self._session = session
        self._state_session = state_session
        self._outputs = ["srgb", *(state.output for state in contract.states)]

    def start(self, *, resets: bool = True) -> OnnxStream:
        """A stream of frames in order, that begins without any past; as many as you like at the same time.

        Args:
            resets: whether a graph with state starts afresh where a new scene begins.
        """
        return OnnxStream(self, resets=resets)

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """Develops the newest frame; the graph gets those inputs only that it has.

        A graph with state develops the older frames before it, as a stream that begins with them.

        Args:
            raw: (T, 4, h, w) packed RGGB, oldest frame first, linear, before white balance. T may exceed what
                the graph takes.
            gains: (3,) R, G, B.
            ccm: (3, 3) camera to linear sRGB.
            noise: (2,) shot and read variance.

        Returns:
            sRGB (3, 2h, 2w) in [0, 1], float32.

        Raises:
            InvalidArgumentError: fewer frames than the graph takes.
        """
        stream = self.start()
        if self.contract.recurrent:
            for end in range(self.contract.frames, len(raw)):
                stream.skip(raw[:end], gains, ccm, noise)
        return stream.run(raw, gains, ccm, noise)

    def run_inputs(self, inputs: Mapping[str, Array]) -> Array:
        """Runs batched inputs as they are: (N, …) each, states included; gives (N, 3, 2h, 2w)."""
        return self.step(inputs)[0]

    def step(self, inputs: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Runs batched inputs as they are, and gives what the next frame needs too.

        Args:
            inputs: by name, (N, …) each; states at a stream's start from ``contract.start``.

        Returns:
            sRGB (N, 3, 2h, 2w) as the graph gives it, and the state inputs of the next frame.
        """
        given = {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}
        srgb, *carried = self._session.run(self._outputs, given)
        return srgb, self._next(carried)

    def skip(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Gives what the next frame needs, without the picture."""
        if self._state_session is None:
            return {}
        given = {name: np.ascontiguousarray(value, np.float32) for name, value in inputs.items()}
        return self._next(self._state_session.run(self._outputs[1:], given))

    def _next(self, carried: list[Array]) -> dict[str, Array]:
        names = (state.name for state in self.contract.states)
        return dict(zip(names, carried, strict=True))


class OnnxStream:
    """Frames of one clip in order; what the graph carries from frame to frame is kept here.

    Where a new scene begins, a graph with state is run as at a stream's start: its state is zero, and its
    window holds the scene's first frame in the place of earlier ones. A graph without state is run on its
    window as it is.

    For one thread; streams of the same network don't disturb each other.
    """

    def __init__(self, network: OnnxNetwork, *, resets: bool = True) -> None:
        self._network = network
        self._states: dict[str, Array] = {}
        self._size: tuple[int, ...] = ()
        self._cuts = SceneCuts() if resets and network.contract.recurrent else None
        self._scene = 0
        """Frames of the present scene that the stream has seen."""

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """Develops the stream's next frame: the newest of the window.

        Args and returns are those of :meth:`OnnxNetwork.run`; the graph sees no more than its own window and
        its state. The graph may leave [0, 1], the picture does not.

        Raises:
            InvalidArgumentError: fewer frames than the graph takes, or another size than the frames before.
        """
        srgb: Array = np.clip(self.unclipped(raw, gains, ccm, noise), 0.0, 1.0)
        return srgb

    def unclipped(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """As :meth:`run`, but the picture as the graph gives it: outside of [0, 1], or no numbers at all."""
        batch, self._states = self._network.step(self._inputs(raw, gains, ccm, noise))
        srgb: Array = batch[0]
        return srgb

    def skip(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> None:
        """Lets the stream see its next frame, as :meth:`run` does, where nobody wants the picture."""
        self._states = self._network.skip(self._inputs(raw, gains, ccm, noise))

    def _inputs(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> dict[str, Array]:
        contract = self._network.contract
        if raw.shape[0] < contract.frames:
            raise InvalidArgumentError(
                "raw", f"the network takes {contract.frames} frames, not {raw.shape[0]}"
            )
        size = raw.shape[-2:]
        if contract.recurrent and size != self._size:
            if self._size:
                text = "{}×{}".format
                raise InvalidArgumentError(
                    "raw", f"frames of {text(*size)} after {text(*self._size)}; start another stream for them"
                )
            self._states, self._size = contract.start(1, *size), size
        window = self._of_one_scene(raw[-contract.frames :], noise)
        planes = window if contract.stacked else window[-1]
        values = {"raw": planes, "gains": gains, "ccm": ccm, "noise": noise}
        return {name: values[name][None] for name in contract.inputs} | self._states

    def _of_one_scene(self, window: Array, noise: Array) -> Array:
        """The window (T, 4, h, w) without frames of an earlier scene; forgets the state where one begins."""
        if self._cuts is None:
            return window
        for frame in window[-1:] if self._scene else window:
            if self._cuts.begins(frame, noise):
                self._scene = 0
                self._states = self._network.contract.start(1, *self._size)
            self._scene += 1
        earlier = len(window) - self._scene
        return window if earlier <= 0 else window[[earlier] * earlier + list(range(earlier, len(window)))]


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


def load_session(model: bytes, threads: int = 1, *, field: str = "model", provider: str = CPU) -> OnnxNetwork:
    """Loads a graph.

    Args:
        model: serialised ONNX that obeys the model contract.
        threads: threads for the arithmetic, at least 1.
        field: name of the argument that errors speak of.
        provider: of ``PROVIDERS``: what runs it.

    Raises:
        InvalidArgumentError: no valid ONNX, not the contract's inputs and outputs, or ONNX Runtime refuses
        it.
        FailedPreconditionError: reason NO_PROVIDER, the provider isn't there.
    """
    contract = check_contract(model, field=field)
    session = open_session(model, threads, field, provider)
    if not contract.recurrent:
        return OnnxNetwork(contract, session, threads)
    states = only_states(parse_onnx(model, field=field)).SerializeToString()
    return OnnxNetwork(contract, session, threads, open_session(states, threads, field, provider))


def open_session(
    model: bytes, threads: int, field: str = "model", provider: str = CPU
) -> onnxruntime.InferenceSession:
    """Any ONNX graph in ONNX Runtime.

    Raises:
        InvalidArgumentError: ONNX Runtime refuses it, or there is no such provider at all.
        FailedPreconditionError: reason NO_PROVIDER, the provider isn't there.
    """
    providers = _provider_names(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Idle threads that spin would take the core from whoever trains beside us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Processors without VNNI add products of int8 up in 16 bits, which overflow; this way they don't. Quality
    # is to be that of an accelerator, and the same on every worker.
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        reason = " ".join(str(error).split())[:200]
        raise InvalidArgumentError(field, f"ONNX Runtime can't load the model: {reason}") from error
    # It goes on with the CPU, and only a warning, where a provider's libraries or device aren't there.
    if session.get_providers()[0] != providers[0]:
        raise _no_provider(provider)
    return session


def _provider_names(provider: str) -> list[str]:
    """ONNX Runtime's names: the provider, and the CPU for operators that it lacks."""
    if provider not in PROVIDERS:
        raise InvalidArgumentError(
            "provider", f"no provider {provider!r}: choose from {', '.join(PROVIDERS)}"
        )
    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise _no_provider(provider)
    return list(dict.fromkeys((PROVIDERS[provider], PROVIDERS[CPU])))


def _no_provider(provider: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"ONNX Runtime {onnxruntime.__version__} has no {PROVIDERS[provider]} here: install onnxruntime-gpu "
        f"and a driver, or take the provider {CPU}",
        reason="NO_PROVIDER",
    )


def measure_latency(network: OnnxNetwork, height: int, width: int, repeats: int = 5) -> Latency:
    """Times a network on a grey picture, after one run that doesn't count.

    What is timed of a network with state is a frame amid a stream.

    Args:
        network: from :func:`load_session`; its threads are the ones used.
        height: rows of the output picture, even.
        width: columns of the output picture, even.
        repeats: timed runs, at least 1.
    """
    inputs = grey_inputs(network.contract, height, width)
    inputs |= network.step(inputs)[1]
    megapixels = height * width / 1e6
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        network.run_inputs(inputs)
        times.append((time.perf_counter() - start) / megapixels)
    low, _, high = statistics.quantiles(times, n=4) if repeats > 1 else (times[0],) * 3
    return Latency(statistics.median(times), (high - low) / 2, network.threads, repeats)

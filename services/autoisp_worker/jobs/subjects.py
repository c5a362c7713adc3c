"""Prototypes and found networks, opened: ready to run, with what is known of their cost but the time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from autoisp_core.artifact import Artifact
from autoisp_core.quality.results import DeviceEstimate
from autoisp_core.spec.device import DEVICES, roofline
from autoisp_isp.cost import OnnxCost, count_cost
from autoisp_isp.isolated import IsolatedNetwork
from autoisp_isp.prototype import OnnxPrototype, Prototype, load_prototype
from autoisp_isp.runtime_session import CPU, load_session
from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker.domain import Cost, PrototypeSource
from autoisp_worker.domain_evaluation import Subject
from autoisp_worker.tools import Tools

THREADS = 1
"""Costs are compared at one thread, whatever a worker trains with."""


@dataclass(frozen=True)
class OpenSubject:
    """Something that develops raw.

    Attributes:
        developer: runs on one thread, unless an evaluation's worker is told another number.
        counted: None where there is no graph, or none whose arithmetic can be counted.
        size_bytes: of the ONNX file; 0 where there is none.
    """

    developer: Prototype
    counted: OnnxCost | None = None
    size_bytes: int = 0

    def cost(self, seconds_per_megapixel: float) -> Cost:
        """Its cost, with the time measured elsewhere."""
        counted = self.counted
        if counted is None:
            return Cost(self.developer.macs_per_pixel, 0, self.size_bytes, seconds_per_megapixel)
        return Cost(
            counted.macs_per_pixel,
            counted.parameters,
            self.size_bytes,
            seconds_per_megapixel,
            counted.bytes_per_pixel,
            counted.peak_activation_bytes_per_pixel,
            counted.state_bytes_per_pixel,
        )

    def devices(self) -> tuple[DeviceEstimate, ...]:
        """Its rooflines; none where its arithmetic can't be counted."""
        if self.counted is None:
            return ()
        bounds = {device.name: roofline(self.counted, device) for device in DEVICES.values()}
        return tuple(
            DeviceEstimate(
                name,
                bound.seconds_per_megapixel,
                bound.bound.value,
                bound.fits_4k30,
                bound.frames_per_second_4k,
            )
            for name, bound in bounds.items()
        )


def open_network(onnx: bytes) -> OpenSubject:
    """Open a network that was exported here.

    Raises:
        InvalidArgumentError: it is no graph of the model contract.
    """
    counted = count_cost(onnx, field="model")
    developer = OnnxPrototype(load_session(onnx, THREADS, field="model"), counted.macs_per_pixel)
    return OpenSubject(developer, counted, counted.file_bytes)


def open_prototype(source: PrototypeSource, store: ArtifactStore) -> OpenSubject:
    """Open a prototype.

    Raises:
        InvalidArgumentError: there is no such builtin, or the graph does not follow the model contract.
        NotFoundError, DataLossError, UnavailableError: the graph can't be had from the store.
    """
    if source.onnx is None:
        return OpenSubject(load_prototype(f"builtin:{source.builtin}", threads=THREADS))
    onnx = store.get_bytes(source.onnx)
    developer = load_prototype(f"onnx:{source.onnx.uri}", onnx, THREADS)
    counted = count_cost(onnx, field="prototype")
    return OpenSubject(developer, counted, counted.file_bytes)


def open_subject(
    subject: Subject, tools: Tools, opened: ExitStack, on_wait: Callable[[], None]
) -> OpenSubject:
    """Open what an evaluation judges; a graph, whoever made it, in a process of its own.

    Args:
        subject: which one.
        tools: store and limits.
        opened: ends the process.
        on_wait: see `IsolatedNetwork`.

    Raises:
        As `open_prototype`.
        FailedPreconditionError: loading the graph crashes, hangs or takes too much memory.
    """
    source, artifact = subject.prototype, _graph(subject)
    if artifact is None:
        if source is None:
            raise ValueError(f"subject {subject.label} has no source")
        return open_prototype(source, tools.store)
    onnx = tools.store.get_bytes(artifact)
    network = _isolated(subject, onnx, tools, tools.network_threads, tools.network_provider, on_wait)
    opened.enter_context(network)
    return OpenSubject(network, network.cost, len(onnx))


def open_timed(
    subject: Subject, running: Prototype, tools: Tools, opened: ExitStack, on_wait: Callable[[], None]
) -> Prototype:
    """What the time of a subject is compared by: itself on one thread of a CPU, which may be what runs
    already. Arguments, and what it raises, as `open_subject`."""
    artifact = _graph(subject)
    if artifact is None or (tools.network_threads, tools.network_provider) == (THREADS, CPU):
        return running
    network = _isolated(subject, tools.store.get_bytes(artifact), tools, THREADS, CPU, on_wait)
    return opened.enter_context(network)


def _graph(subject: Subject) -> Artifact | None:
    return subject.model if subject.prototype is None else subject.prototype.onnx


def _isolated(
    subject: Subject, onnx: bytes, tools: Tools, threads: int, provider: str, on_wait: Callable[[], None]
) -> IsolatedNetwork:
    return IsolatedNetwork(
        onnx,
        threads,
        limit_s=tools.frame_limit_seconds,
        memory_bytes=tools.network_memory_bytes,
        provider=provider,
        field="model" if subject.prototype is None else "prototype",
        on_wait=on_wait,
    )

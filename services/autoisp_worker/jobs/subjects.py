"""Prototypes and found networks, opened: ready to run, with what is known of their cost but the time."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_isp.cost import count_cost
from autoisp_isp.prototype import OnnxPrototype, Prototype, load_prototype
from autoisp_isp.runtime_session import load_session
from autoisp_runtime.artifacts import ArtifactStore

from autoisp_worker.domain import Cost, PrototypeSource, Subject

_THREADS = 1
"""Costs are compared at one thread, whatever a worker trains with."""


@dataclass(frozen=True)
class OpenSubject:
    """Something that develops raw.

    Attributes:
        developer: runs on one thread.
        parameters: 0 where there is no graph to count them in.
        size_bytes: of the ONNX file; 0 where there is none.
    """

    developer: Prototype
    parameters: int = 0
    size_bytes: int = 0

    def cost(self, seconds_per_megapixel: float) -> Cost:
        """Its cost, with the time measured elsewhere."""
        return Cost(self.developer.macs_per_pixel, self.parameters, self.size_bytes, seconds_per_megapixel)


def open_network(onnx: bytes) -> OpenSubject:
    """Open an exported network.

    Raises:
        InvalidArgumentError: it is no graph of the model contract.
    """
    counted = count_cost(onnx, field="model")
    developer = OnnxPrototype(load_session(onnx, _THREADS, field="model"), counted.macs_per_pixel)
    return OpenSubject(developer, counted.parameters, counted.file_bytes)


def open_prototype(source: PrototypeSource, store: ArtifactStore) -> OpenSubject:
    """Open a prototype.

    Raises:
        InvalidArgumentError: there is no such builtin, or the graph does not follow the model contract.
        NotFoundError, DataLossError, UnavailableError: the graph can't be had from the store.
    """
    if source.onnx is None:
        return OpenSubject(load_prototype(f"builtin:{source.builtin}", threads=_THREADS))
    onnx = store.get_bytes(source.onnx)
    developer = load_prototype(f"onnx:{source.onnx.uri}", onnx, _THREADS)
    counted = count_cost(onnx, field="prototype")
    return OpenSubject(developer, counted.parameters, counted.file_bytes)


def open_subject(subject: Subject, store: ArtifactStore) -> OpenSubject:
    """Open what an evaluation judges; raises as the two above."""
    if subject.model is not None:
        return open_network(store.get_bytes(subject.model))
    if subject.prototype is None:
        raise ValueError(f"subject {subject.label} has no source")
    return open_prototype(subject.prototype, store)

"""A live evaluation process, networks for it, and its streams as any client would make them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import psutil
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import Client, Endpoints
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from worker_jobs import RECURRENT, SPEC, reference

Request = evaluation_pb2.EvaluateStreamRequest
Response = evaluation_pb2.EvaluateStreamResponse

HEIGHT, WIDTH = 64, 96
RGB, BAYER = ingest_pb2.FrameFormat.KIND_RGB, ingest_pb2.FrameFormat.KIND_BAYER
SENSOR = common_pb2.Sensor(builtin="phone", test_noise=common_pb2.Noise(shot=0.01, read=0.0005))
PART = 1 << 20


@dataclass(frozen=True)
class Live:
    """A running process and how to talk to it."""

    folder: Path
    process: ServiceProcess
    stub: evaluation_pb2_grpc.LiveEvaluationServiceStub
    store: ArtifactStore

    def client(self) -> Client:
        """The client library; of the services only this one is there."""
        return Client(Endpoints(*["127.0.0.1:1"] * 4, live=self.process.address), patience=0)

    def children(self) -> list[psutil.Process]:
        """Processes of networks."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def put(self, onnx: bytes) -> common_pb2.Artifact:
        """A network in the store."""
        return reference(self.store.put_bytes(onnx, "application/onnx"))

    def call(self, messages: Iterable[Request]) -> list[Response]:
        """A whole stream."""
        return list(self.stub.EvaluateStream(iter(messages), timeout=60))


@contextmanager
def running_live(folder: Path, **settings: object) -> Iterator[Live]:
    """A real nats-server and a real process."""
    with (
        NatsServer(folder / "nats") as nats,
        ServiceProcess("autoisp_worker.live", folder, nats_url=nats.url, **settings) as process,
        grpc.insecure_channel(process.address) as channel,
    ):
        store = ArtifactStore((folder / "artifacts").as_uri())
        yield Live(folder, process, evaluation_pb2_grpc.LiveEvaluationServiceStub(channel), store)


def network(spec: Spec = SPEC) -> bytes:
    """A network of three frames, untrained."""
    return export_onnx(build(spec))


def recurrent() -> bytes:
    """A network with state, untrained."""
    return network(RECURRENT)


def header(**changes: object) -> Request:
    """Of RGB frames that are judged as they are; ``changes`` overwrite fields of it and of its format."""
    form: dict[str, object] = {"kind": RGB, "bit_depth": 8, "stored_width": WIDTH, "stored_height": HEIGHT}
    fields: dict[str, object] = {"metrics": ["noise_estimate"]}
    names = {field.name for field in ingest_pb2.FrameFormat.DESCRIPTOR.fields}
    form |= {key: changes.pop(key) for key in list(changes) if key in names}
    return Request(
        header=evaluation_pb2.StreamHeader(
            format=ingest_pb2.FrameFormat(**form),  # type: ignore[arg-type]
            **(fields | changes),  # type: ignore[arg-type]
        )
    )


def builtin(name: str = "classical") -> evaluation_pb2.Subject:
    """A prototype that ships with AutoISP."""
    subject = evaluation_pb2.Subject(label="prototype")
    subject.prototype.builtin = name
    return subject


def onnx(artifact: common_pb2.Artifact) -> evaluation_pb2.Subject:
    """A network."""
    return evaluation_pb2.Subject(label="model", onnx=artifact)


def parts(frame: int, values: np.ndarray, *, truth: bool = False) -> Iterator[Request]:
    """A frame, or its truth."""
    data = values.tobytes()
    for offset in range(0, len(data), PART):
        yield part(frame, data[offset : offset + PART], offset, truth=truth)


def part(frame: int, data: bytes, offset: int = 0, **fields: object) -> Request:
    """Any part."""
    return Request(
        part=evaluation_pb2.StreamFramePart(frame=frame, offset=offset, data=data, **fields)  # type: ignore[arg-type]
    )


def mosaic(frames: int, *, cfa: str = "RGGB", seed: int = 0, bits: int = 10) -> list[np.ndarray]:
    """Scenes as a sensor with black at 64 might give them; values fit into ``bits``."""
    draw = np.random.default_rng(seed)
    scene = draw.integers(80, 1 << (bits - 1), (HEIGHT, WIDTH))
    return [
        np.clip(scene + draw.normal(0, 8, scene.shape), 0, (1 << bits) - 1).astype(np.uint16)
        for _ in range(frames)
    ]


def eventually(holds: object, wait_s: float = 10.0) -> bool:
    """Whether it holds soon."""
    give_up_at = time.monotonic() + wait_s
    while time.monotonic() < give_up_at:
        if holds():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False

"""Malformed requests to every method of every service: no crash, and no answer that says a bug.

AUTOISP_FUZZ_CASES says how many; the suite makes a few. A failure prints the method and the bytes that were
sent.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from random import Random

import grpc
import pytest
from autoisp.ingest.v1.ingest_pb2 import SPLIT_TEST, SPLIT_TRAIN, SPLIT_VALIDATION, DatasetClip
from autoisp.registry.v1.registry_pb2 import ModelVersion
from autoisp.search.v1.search_pb2 import Budget, Search
from autoisp_cli.local import LocalStack
from autoisp_client import Client
from autoisp_runtime.jetstream import Event, NatsConnection, Publisher, event_subject
from autoisp_testing.graphs import root_of
from autoisp_testing.scenes import moving_scene, write_video
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc_fuzz import Caller, Generator, Rpc, rpcs

CASES = int(os.environ.get("AUTOISP_FUZZ_CASES", "300"))
SEED = int(os.environ.get("AUTOISP_FUZZ_SEED", "1"))
BUGS = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
NAMES = (
    *("datasets/fuzz", "searches/fuzz", "searches/fuzz/trials/1", "evaluations/fuzz", "evaluations/made"),
    *(
        "models/fuzz",
        "models/fuzz/versions/1",
        "models/fuzz/versions/latest",
        "models/made",
        "products/fuzz",
        "products/fuzz/channels/stable",
        *("deadLetters/1", "deadLetters/2", "deadLetters/3"),
    ),
)

pytestmark = pytest.mark.timeout(120 + CASES)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The services as processes, and one of everything that takes no worker."""
    home = tmp_path_factory.mktemp("fuzz")
    with LocalStack(home / "state", workers=0) as running:
        with Client(running.endpoints) as client:
            parts = []
            for number, split in enumerate((SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST)):
                video = write_video(home / f"{number}.mp4", moving_scene(6, 64, 72, seed=number))
                parts.append(DatasetClip(clip=client.upload_clip(video).name, split=split))
            client.create_dataset(parts, dataset_id="fuzz")
            search = Search(dataset="datasets/fuzz", budget=Budget(reduction=100), seed=1)
            search.prototype.builtin = "classical"
            client.create_search(search, search_id="fuzz")
            onnx = home / "root.onnx"
            onnx.write_bytes(root_of(2.0))
            version = ModelVersion(onnx=client.upload_artifact(onnx))
            client.register_model_version("models/fuzz", version)
            asyncio.run(poisoned(client.get_status("registry").broker.url))
            deadline = time.monotonic() + 30
            while len(list(client.list_dead_letters())) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield running


async def poisoned(url: str) -> None:
    """Has what nobody can handle become dead letters."""
    nats = await NatsConnection.open(url)
    for number in range(3):
        subject = event_subject(Event.EVALUATION_COMPLETED, f"fuzz-{number}")
        await Publisher(nats, "autoisp/testing").publish(subject, b"\xff", f"poison-{number}")
    await nats.close()


def test_no_request_finds_a_bug(stack: LocalStack) -> None:
    methods = rpcs(stack.endpoints)
    generator = Generator(Random(SEED), list(NAMES))
    caller, codes, failures = Caller(), Counter[str](), []
    for case in range(CASES):
        # Each method in turn, in a new order every round.
        if case % len(methods) == 0:
            generator.random.shuffle(methods)
        rpc = methods[case % len(methods)]
        bodies = generator.bodies(rpc)
        code, said, answers = caller.call(rpc, bodies)
        codes[code.name] += 1
        for answer in answers:
            generator.learn(answer)
        if code in BUGS or code in AWAY or (code is grpc.StatusCode.DEADLINE_EXCEEDED and not watches(rpc)):
            failures.append(f"{code.name} {rpc.path}: {said[:300]}\n  sent {[b[:400].hex() for b in bodies]}")
            if len(failures) == 40:
                break
    caller.close()
    print(dict(codes))
    assert not failures, "\n".join(failures)
    assert codes["INVALID_ARGUMENT"] > CASES / 4  # the requests get as far as the services' own checks
    assert codes["OK"] > 0
    stack.check()
    assert stack.notes() == [], "a service died"
    logs = "".join(path.read_text(errors="replace") for path in (stack.folder.path / "logs").iterdir())
    assert "failed unexpectedly" not in logs  # nor was there a bug whose answer nobody read
    assert "Traceback" not in logs
    for rpc in {method.address: method for method in methods}.values():
        with grpc.insecure_channel(rpc.address) as channel:
            health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def watches(rpc: Rpc) -> bool:
    """Whether the call goes on for as long as its client wants."""
    return bool(rpc.method.server_streaming)

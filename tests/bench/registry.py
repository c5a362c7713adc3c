"""What the registry bears: devices that ask, devices that report, and files that are fetched.

Usage: python tests/bench/registry.py [--seconds N] [--repeats N] [--in-flight N] [--channels N]
                                      [--devices N] [--sample N] [--megabytes N]

The registry runs as it does for users: a process of its own with a real broker and SQLite. This process is
the client. Channels, with rollouts from 0.1 to 100 %, are asked for device ids that are drawn from all the
devices. Where every device goes is computed with the registry's own function, of which a sample is compared
with what the service answers. 0 leaves a part out.
"""

import argparse
import asyncio
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc, rollouts_pb2, rollouts_pb2_grpc
from autoisp_client import Client, Endpoints
from autoisp_registry.rollouts.domain.buckets import end_of, place, share_from
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from record import record, spread

BATCH = 1000
Request, Batch = rollouts_pb2.ResolveModelRequest, rollouts_pb2.BatchResolveModelsRequest
Stub = rollouts_pb2_grpc.RolloutServiceStub


def device_id(number: int) -> str:
    return f"device-{number:08d}"


def channel_name(number: int) -> str:
    return f"products/bench/channels/c{number:04d}"


def percent_of(number: int, channels: int) -> float:
    """From 0.1 to 100 % in even steps of 0.1."""
    return round(0.1 * (1 + number * 1000 // channels), 1)


def set_up(address: str, store: ArtifactStore, channels: int) -> list[rollouts_pb2.Channel]:
    """A model with two versions, and channels that roll the second one out."""
    with grpc.insecure_channel(address) as connection:
        registry = registry_pb2_grpc.RegistryServiceStub(connection)
        for number in (1, 2):
            onnx = store.put_bytes(root_of(number), "application/onnx")
            version = registry_pb2.ModelVersion()
            version.onnx.sha256, version.onnx.size_bytes = onnx.sha256, onnx.size_bytes
            registry.RegisterModelVersion(
                registry_pb2.RegisterModelVersionRequest(parent="models/m", model_version=version)
            )
        rollouts = Stub(connection)
        made = []
        for number in range(channels):
            channel = rollouts_pb2.Channel(name=channel_name(number), model="models/m", version=1)
            rollouts.CreateChannel(rollouts_pb2.CreateChannelRequest(channel=channel))
            rollout = rollouts_pb2.Rollout(version=2, percent=percent_of(number, channels))
            rollout.halt_rule.disabled = True
            made.append(
                rollouts.StartRollout(rollouts_pb2.StartRolloutRequest(channel=channel.name, rollout=rollout))
            )
    return made


async def load(
    call: Callable[[], Awaitable[object]], in_flight: int, seconds: float
) -> tuple[float, list[float]]:
    """Calls per second, and how long each took, with so many on their way all the time."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (begun := time.perf_counter()) < end:
            await call()
            took.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return len(took) / (time.perf_counter() - begun), took


def figures_of(runs: list[tuple[float, list[float]]], per_call: int = 1) -> dict[str, object]:
    cuts = [statistics.quantiles(took, n=100) for _, took in runs]
    return {
        "per_s": spread([per_call * rate for rate, _ in runs]),
        "p50_ms": spread([1000 * cut[49] for cut in cuts]),
        "p99_ms": spread([1000 * cut[98] for cut in cuts]),
    }


async def asking(
    address: str, channels: list[rollouts_pb2.Channel], options: argparse.Namespace
) -> dict[str, object]:
    """Unary calls, batches, and reports."""
    draw = random.Random(0)

    def request() -> Request:
        return Request(
            channel=channels[draw.randrange(len(channels))].name,
            device_id=device_id(draw.randrange(options.devices)),
        )

    def report() -> rollouts_pb2.ReportOutcomeRequest:
        channel = channels[draw.randrange(len(channels))]
        return rollouts_pb2.ReportOutcomeRequest(
            channel=channel.name,
            rollout_id=channel.rollout.rollout_id,
            device_id=device_id(draw.randrange(options.devices)),
        )

    batches = [Batch(requests=[request() for _ in range(BATCH)]) for _ in range(20)]
    async with grpc.aio.insecure_channel(address) as connection:
        stub = Stub(connection)
        kinds: dict[str, tuple[Callable[[], Awaitable[object]], int, int]] = {
            "resolve": (lambda: stub.ResolveModel(request()), options.in_flight, 1),
            "batch_resolve": (lambda: stub.BatchResolveModels(draw.choice(batches)), 2, BATCH),
            "report_outcome": (lambda: stub.ReportOutcome(report()), options.in_flight, 1),
        }
        runs: dict[str, list[tuple[float, list[float]]]] = {kind: [] for kind in kinds}
        for call, in_flight, _ in kinds.values():
            await load(call, in_flight, 1.0)  # warm
        for _ in range(options.repeats):
            for kind, (call, in_flight, _) in kinds.items():
                seconds = options.seconds if kind == "resolve" else min(options.seconds, 5.0)
                runs[kind].append(await load(call, in_flight, seconds))
    return {
        kind: {"in_flight": in_flight, **figures_of(runs[kind], per_call)}
        for kind, (_, in_flight, per_call) in kinds.items()
    }


def distribution(
    address: str, channels: list[rollouts_pb2.Channel], devices: int, sample: int
) -> dict[str, object]:
    """How far shares are from what was asked, and whether the service says the same as its function."""
    one = channels[0].rollout.rollout_id
    places = np.fromiter((place(one, device_id(n)) for n in range(devices)), np.uint64, devices)
    places.sort()
    asked = [share_from(channel.rollout.percent, "percent") for channel in channels]
    below = [
        devices if end_of(s) >> 64 else int(np.searchsorted(places, np.uint64(end_of(s)))) for s in asked
    ]
    in_one = [abs(n / devices - share / 1e6) for n, share in zip(below, asked, strict=True)]
    reached = disagreed = 0
    wanted = 0.0
    with grpc.insecure_channel(address) as connection:
        stub = Stub(connection)
        for first in range(0, sample, BATCH):
            numbers = range(first, min(first + BATCH, sample))
            of = [channels[number % len(channels)] for number in numbers]
            requests = [
                Request(channel=channel.name, device_id=device_id(number))
                for number, channel in zip(numbers, of, strict=True)
            ]
            results = stub.BatchResolveModels(Batch(requests=requests)).results
            for request, channel, result in zip(requests, of, results, strict=True):
                share = share_from(channel.rollout.percent, "percent")
                expected = place(channel.rollout.rollout_id, request.device_id) < end_of(share)
                answered = result.response.rollout_id == channel.rollout.rollout_id
                disagreed += expected is not answered
                reached += answered
                wanted += share / 1e6
    return {
        "devices": devices,
        "shares": len(set(asked)),
        # All devices in the order of one channel, at the share of every channel; by the registry's function.
        "largest_difference_percent": 100 * max(in_one),
        # Devices spread over all the channels, as the service answers them.
        "answered": {
            "devices": sample,
            "asked_percent": 100 * wanted / sample,
            "reached_percent": 100 * reached / sample,
            "other_than_the_function": disagreed,
        },
    }


def downloads(
    client: Client, store: ArtifactStore, folder: Path, megabytes: int, repeats: int
) -> dict[str, object]:
    """MB/s from the registry into a client's file against reading the same bytes and their SHA-256."""
    source = folder / "source.bin"
    source.write_bytes(os.urandom(megabytes << 20))
    sha256 = store.put_file(source, "application/octet-stream").sha256
    fetched, read = [], []

    def plain() -> None:
        with source.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def fetch() -> None:
        client.download(folder / "fetched.bin", sha256=sha256)
        (folder / "fetched.bin").unlink()

    fetch()  # warm
    for _ in range(repeats):
        read.append(megabytes / seconds(plain))
        fetched.append(megabytes / seconds(fetch))
    return {
        "megabytes": megabytes,
        "download_mb_per_s": spread(fetched),
        "read_and_sha256_mb_per_s": spread(read),
        "download_ratio": spread([one / other for one, other in zip(fetched, read, strict=True)]),
    }


def seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run of unary calls")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=32, help="calls on their way at any time")
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--devices", type=int, default=10_000_000)
    parser.add_argument("--sample", type=int, default=1_000_000, help="devices that are asked for by batches")
    parser.add_argument("--megabytes", type=int, default=256)
    options = parser.parse_args()
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry").mkdir()
        store = ArtifactStore((folder / "store").as_uri())
        with (
            NatsServer(folder / "nats") as nats,
            ServiceProcess(
                "autoisp_registry",
                folder / "registry",
                nats_url=nats.url,
                store_url=(folder / "store").as_uri(),
                log_level="warning",
            ) as registry,
        ):
            channels = set_up(registry.address, store, options.channels)
            figures["channels"] = options.channels
            if options.repeats and options.seconds:
                figures["devices"] = asyncio.run(asking(registry.address, channels, options))
            if options.devices:
                figures["distribution"] = distribution(
                    registry.address, channels, options.devices, options.sample
                )
            if options.megabytes:
                # Nobody else is asked here.
                with Client(Endpoints(*[registry.address] * 4)) as client:
                    figures["download"] = downloads(client, store, folder, options.megabytes, options.repeats)
    record("registry", figures)


if __name__ == "__main__":
    main()

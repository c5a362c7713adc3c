"""What the registry bears: devices that ask, devices that report, and files that are fetched.

Usage: python tests/bench/registry.py [--seconds N] [--repeats N] [--in-flight N] [--channels N]
                                      [--devices N] [--sample N] [--megabytes N]

The registry runs as it does for users: a process of its own with a real broker and SQLite. This process is
the client. Channels, with rollouts from 0.1 to 100 %, are asked for device ids that are drawn from all the
devices. Where every device goes is computed with the registry's own function, of which a sample is compared
with what the service answers. 0 leaves a part out.

Unary calls are made by grpc.aio, which takes nearly as much of the processors as the server does, and, where
h2load (Debian's nghttp2-client) is installed, by that too: it sends one request again and again and costs
next to nothing, so its figures are the server's. Processor time stands beside wall time.
"""

import argparse
import asyncio
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

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
DEVICES = 10_000_000
Request, Batch = rollouts_pb2.ResolveModelRequest, rollouts_pb2.BatchResolveModelsRequest
Stub = rollouts_pb2_grpc.RolloutServiceStub
Runs = list[tuple[float, list[float]]]


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


def figures_of(runs: Runs, per_call: int = 1) -> dict[str, object]:
    cuts = [statistics.quantiles(took, n=100) for _, took in runs]
    return {
        "per_s": spread([per_call * rate for rate, _ in runs]),
        "p50_ms": spread([1000 * cut[49] for cut in cuts]),
        "p99_ms": spread([1000 * cut[98] for cut in cuts]),
    }


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def asking(
    address: str, pid: int, channels: list[rollouts_pb2.Channel], options: argparse.Namespace
) -> dict[str, object]:
    """Unary calls, batches, and reports."""
    draw = random.Random(0)
    devices = options.devices or DEVICES

    def device() -> str:
        return device_id(draw.randrange(devices))

    def request() -> Request:
        return Request(channel=draw.choice(channels).name, device_id=device())

    def report() -> rollouts_pb2.ReportOutcomeRequest:
        channel = draw.choice(channels[len(channels) // 2 :])
        one, end = channel.rollout.rollout_id, end_of(share_from(channel.rollout.percent, "percent"))
        reporting = device()
        while place(one, reporting) >= end:  # others are not counted
            reporting = device()
        return rollouts_pb2.ReportOutcomeRequest(channel=channel.name, rollout_id=one, device_id=reporting)

    batches = [Batch(requests=[request() for _ in range(BATCH)]) for _ in range(20)]
    async with grpc.aio.insecure_channel(address) as connection:
        stub = Stub(connection)
        kinds: dict[str, tuple[Callable[[], Awaitable[object]], int, int]] = {
            "resolve": (lambda: stub.ResolveModel(request()), options.in_flight, 1),
            "batch_resolve": (lambda: stub.BatchResolveModels(draw.choice(batches)), 2, BATCH),
            "report_outcome": (lambda: stub.ReportOutcome(report()), options.in_flight, 1),
        }
        runs: dict[str, Runs] = {kind: [] for kind in kinds}
        costs: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for call, in_flight, _ in kinds.values():
            await load(call, in_flight, 1.0)  # warm
        for _ in range(options.repeats):
            for kind, (call, in_flight, _) in kinds.items():
                seconds = options.seconds if kind == "resolve" else min(options.seconds, 3.0)
                before = processor_seconds(pid), time.process_time()
                runs[kind].append(await load(call, in_flight, seconds))
                calls = len(runs[kind][-1][1])
                server, client = processor_seconds(pid) - before[0], time.process_time() - before[1]
                costs[kind].append((1e6 * server / calls, 1e6 * client / calls))
    return {
        kind: {
            "in_flight": in_flight,
            **figures_of(runs[kind], per_call),
            "server_processor_us_per_call": spread([server for server, _ in costs[kind]]),
            "client_processor_us_per_call": spread([client for _, client in costs[kind]]),
        }
        for kind, (_, in_flight, per_call) in kinds.items()
    }


def asking_with_h2load(
    address: str, pid: int, channel: rollouts_pb2.Channel, folder: Path, options: argparse.Namespace
) -> dict[str, object]:
    """The unary call from a client in C."""
    message = Request(channel=channel.name, device_id=device_id(1)).SerializeToString()
    body, log = folder / "body", folder / "h2load.log"
    body.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    command = ["h2load", "-D", str(max(1, round(options.seconds))), "-c", "1", "-t", "1"]
    command += ["-m", str(options.in_flight), "-d", str(body), "--log-file", str(log)]
    command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    command.append(f"http://{address}/autoisp.registry.v1.RolloutService/ResolveModel")
    runs, costs = [], []
    for _ in range(options.repeats):
        log.unlink(missing_ok=True)
        before = processor_seconds(pid)
        subprocess.run(command, check=True, capture_output=True)
        cost = processor_seconds(pid) - before
        calls = [line.split() for line in log.read_text().splitlines()]
        assert {status for _, status, _ in calls} == {"200"}, "calls failed"
        runs.append((len(calls) / float(command[2]), [int(took) / 1e6 for _, _, took in calls]))
        costs.append(1e6 * cost / len(calls))
    return {
        "in_flight": options.in_flight,
        **figures_of(runs),
        "server_processor_us_per_call": spread(costs),
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
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run of unary calls")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--in-flight", type=int, default=32, help="calls on their way at any time")
    parser.add_argument("--channels", type=int, default=1000)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--sample", type=int, default=200_000, help="devices that are asked for by batches")
    parser.add_argument("--megabytes", type=int, default=256)
    options = parser.parse_args()
    figures: dict[str, Any] = {"load_before": os.getloadavg()}
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
                figures["devices"] = asyncio.run(asking(registry.address, registry.pid, channels, options))
                if shutil.which("h2load"):
                    figures["devices"]["resolve_from_h2load"] = asking_with_h2load(
                        registry.address, registry.pid, channels[-1], folder, options
                    )
            if options.devices:
                figures["distribution"] = distribution(
                    registry.address, channels, options.devices, options.sample
                )
            if options.megabytes:
                # Nobody else is asked here.
                with Client(Endpoints(*[registry.address] * 4)) as client:
                    figures["download"] = downloads(client, store, folder, options.megabytes, options.repeats)
    figures["load_after"] = os.getloadavg()
    record("registry", figures)
    print(summary(figures))


def summary(figures: dict[str, Any]) -> str:
    """What the goals ask for, in words."""
    lines = [f"load average {figures['load_before'][0]:.1f} before, {figures['load_after'][0]:.1f} after"]
    for kind, one in figures.get("devices", {}).items():
        client = one.get("client_processor_us_per_call", {}).get("min")
        lines.append(
            f"{kind}: best {one['per_s']['max']:,.0f}/s (median {one['per_s']['median']:,.0f}), "
            f"p99 {one['p99_ms']['min']:.1f} ms at best; processor time per call: "
            f"server {one['server_processor_us_per_call']['min']:.0f} us"
            + (f", client {client:.0f} us" if client else "")
        )
    if there := figures.get("distribution"):
        lines.append(
            f"{there['devices']:,} devices, {there['shares']} shares: at most "
            f"{there['largest_difference_percent']:.3f} % from what was asked; "
            f"{there['answered']['other_than_the_function']} of {there['answered']['devices']:,} "
            "answers differ"
        )
    if there := figures.get("download"):
        lines.append(
            f"download: best {there['download_mb_per_s']['max']:.0f} MB/s, read and SHA-256 "
            f"{there['read_and_sha256_mb_per_s']['max']:.0f}: "
            f"{100 * there['download_ratio']['max']:.0f} % at best, "
            f"{100 * there['download_ratio']['median']:.0f} % median"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

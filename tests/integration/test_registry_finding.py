"""Finding things in the registry's processes: the guide's Python, and replicas that share a PostgreSQL."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import grpc
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client import Endpoints
from autoisp_core.errors import UnavailableError
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import put_bytes, refused, store_in

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "models.md"
Stub = registry_pb2_grpc.RegistryServiceStub


def test_the_python_of_the_guide_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 9
    (tmp_path / "guide.py").write_text("\n".join(blocks), "utf-8")
    (tmp_path / "network.onnx").write_bytes(root_of(1.25))
    with (
        NatsServer(tmp_path / "nats") as nats,
        ServiceProcess("autoisp_registry", tmp_path, nats_url=nats.url) as service,
    ):
        (tmp_path / ".autoisp").mkdir()
        endpoints = Endpoints(*[service.address] * 4)
        (tmp_path / ".autoisp" / "endpoints.json").write_text(endpoints.to_json())
        words = [sys.executable, "guide.py"]
        ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    for said in ("position 15", "models/night/versions/1", "FAILED_PRECONDITION", "there is models/night"):
        assert said in ran.stdout, ran.stdout
    assert "ann version.promote" in ran.stdout
    assert (tmp_path / "card.md").read_text().startswith("# night, version 1\n")


async def test_a_watch_at_one_replica_hears_of_changes_at_the_other(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    store = store_in(tmp_path / "one")
    files = [put_bytes(store, root_of(factor)) for factor in (1.5, 1.75)]
    with NatsServer(tmp_path / "nats") as nats:
        settings = {"nats_url": nats.url, "database_url": url}
        with (
            ServiceProcess("autoisp_registry", tmp_path / "one", **settings) as one,
            ServiceProcess("autoisp_registry", tmp_path / "two", **settings) as two,
        ):
            async with (
                grpc.aio.insecure_channel(one.address) as to_one,
                grpc.aio.insecure_channel(two.address) as to_two,
            ):
                watch = Stub(to_two).WatchModels(registry_pb2.WatchModelsRequest())
                assert (await asyncio.wait_for(watch.read(), 20)).synced_sequence == 0
                for file in files:
                    request = registry_pb2.RegisterModelVersionRequest(parent="models/m")
                    request.model_version.onnx.CopyFrom(file)
                    await Stub(to_one).RegisterModelVersion(request)
                changes = [await asyncio.wait_for(watch.read(), 20) for _ in files]
                assert [item.change.entry.sequence for item in changes] == [1, 2]
                assert changes[1].change.model_version.name == "models/m/versions/2"
                after = registry_pb2.WatchModelsRequest(model="models/m", after_sequence=1)
                again = Stub(to_one).WatchModels(after)
                assert (await asyncio.wait_for(again.read(), 20)).change.entry.sequence == 2
                # A service that stops ends its streams at once, not when its grace is over.
                two.stop()
                assert isinstance(await refused(watch.read()), UnavailableError)

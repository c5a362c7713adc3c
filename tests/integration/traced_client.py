"""A program that traces its own calls: makes a search of two trials and waits for its end.

Usage: python traced_client.py ADDRESS DATASET
"""

from __future__ import annotations

import asyncio
import sys

from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import AsyncClient, Client
from autoisp_core.errors import NotFoundError
from autoisp_runtime.telemetry.setup import start_tracing
from autoisp_runtime.telemetry.spans import span
from worker_jobs import SENSOR


def main(address: str, dataset: str) -> None:
    stop = start_tracing("program", "here", "1")
    with span("tune"), Client(address) as client:
        search = search_pb2.Search(
            dataset=dataset,
            prototype=prototype_pb2.Prototype(builtin="classical"),
            sensor=SENSOR,
            budget=search_pb2.Budget(macs_per_pixel=5000),  # a budget of time prunes on a busy machine
            strategy="random",
            validation_frames_per_clip=1,
            rungs=[search_pb2.Rung(trials=2, steps=5), search_pb2.Rung(trials=1, steps=8)],
        )
        created = client.create_search(search, search_id="traced")
        for update in client.watch_search(created.name):
            last = update
        print(search_pb2.SearchState.Name(last.search.state))
        try:
            client.get_trial(f"{created.name}/trials/r9-9999")
        except NotFoundError:
            print("refused")
        asyncio.run(again(address, created.name))
    stop()


async def again(address: str, name: str) -> None:
    """The same questions by the other client."""
    async with AsyncClient(address) as client:
        await client.get_search(name)
        async for _ in client.watch_search(name):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Lists of the registry by filter and order, with 100,000 versions in SQLite and in PostgreSQL.

    python tests/bench/registry_list.py [--versions 100000] [--repeats 40] [--keep FOLDER]

Filling takes minutes: ``--keep`` leaves the databases in a folder, and takes those that are there.

Goal: 95 of 100 lists of 50 versions answer within 50 ms, whatever the list. ``processor_ms`` is beside it:
what client and server worked, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from autoisp_core.artifact import Artifact
from autoisp_registry import tables
from autoisp_registry.domain import Content, Cost, EdgeFormat, GateResult, Lineage, Model, ModelVersion
from autoisp_registry.filters import Listing
from autoisp_registry.index.backfill import put_entries
from autoisp_registry.index.entries import entry_of_model, entry_of_version
from autoisp_registry.index.tables import MODEL, VERSION, aliases
from autoisp_registry.store import SqlFinder
from autoisp_registry.store.rows import model_row, new_version_row
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate
from autoisp_testing.postgres import postgres_server
from record import record
from sqlalchemy import Connection, func, insert, select, text

GOAL_MS = 50.0
MODELS = 200
BATCH = 2_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = (
    "night",
    "low",
    "light",
    "zoom",
    "portrait",
    "indoor",
    "sport",
    "macro",
    "tele",
    "wide",
    "dusk",
    "fog",
)

LISTS: dict[str, dict[str, Any]] = {
    "all, oldest first": {},
    "all, newest first": {"order_by": "create_time desc"},
    "good and cheap": {"filter_text": "metrics.psnr > 30 AND cost.macs_per_pixel < 3600"},
    "good and cheap, hardly any": {"filter_text": "metrics.psnr > 33 AND cost.macs_per_pixel < 700"},
    "the very best": {"filter_text": "metrics.psnr > 38"},
    "best first": {"order_by": "metrics.psnr desc"},
    "best for a sensor first": {"filter_text": "tags.sensor = phone", "order_by": "metrics.psnr desc"},
    "cheapest good ones first": {"filter_text": "metrics.psnr > 34", "order_by": "cost.macs_per_pixel"},
    "tag and gate": {"filter_text": "tags.sensor = drone AND passed = true AND format:onnx-int8"},
    "words": {"filter_text": "night fog"},
    "phrase, newest first": {"filter_text": '"low light"', "order_by": "create_time desc"},
    "rare word": {"filter_text": "unicorn"},
    "no such word": {"filter_text": "dragon"},
    "champions": {"filter_text": "alias:champion"},
    "of one search": {"filter_text": "lineage.search = searches/s-17 OR lineage.search = searches/s-18"},
    "recent and not retired": {
        "filter_text": "create_time > 2026-03-01T00:00:00Z -tags:retired (night OR tags.sensor:dr)"
    },
    "large model, best first": {
        "model": "models/m-0",
        "filter_text": "cost.macs_per_pixel < 3600",
        "order_by": "metrics.psnr desc",
    },
    "small model, best first": {"model": "models/m-7", "order_by": "metrics.psnr desc"},
    "small model, cheap, best first": {
        "model": "models/m-7",
        "filter_text": "cost.macs_per_pixel < 3600",
        "order_by": "metrics.psnr desc",
    },
    "nothing, best first": {
        "filter_text": "metrics.psnr > 34 AND cost.macs_per_pixel < 350",
        "order_by": "metrics.psnr desc",
    },
}


def make_version(model: str, number: int, place: int, dice: random.Random) -> ModelVersion:
    """A version as a search would bring it: what costs more is better, more or less."""
    sha256 = f"{dice.getrandbits(256):064x}"
    onnx = Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, 40_000, "application/onnx")
    macs = math.exp(dice.uniform(math.log(300), math.log(20_000)))
    psnr = 22 + 1.5 * math.log(macs) + dice.gauss(0, 0.9)
    metrics = {
        "psnr_model": psnr,
        "ssim_model": 1 - math.exp(-psnr / 12),
        "psnr_prototype": 33.0,
        "latency_ratio": 200_000 / macs,
    }
    search = f"searches/s-{place // 20}"
    content = Content(
        onnx,
        metrics,
        Lineage(f"datasets/d-{place % 97}", search, f"{search}/trials/t-{number}", f"evaluations/e-{place}"),
        json.dumps({"width": dice.choice((8, 16, 24)), "blocks": dice.randint(2, 9)}),
        GateResult(psnr > 33, ("psnr_model: …",)),
        Cost(macs, int(macs * 9), 40_000, macs / 1e6),
    )
    tags = {"sensor": dice.choices(("phone", "action-cam", "drone"), (70, 28, 2))[0]}
    if dice.random() < 0.2:
        tags["retired"] = "yes"
    words = dice.choices(WORDS, k=6) + (["unicorn"] if place % 9_973 == 17 else [])
    return ModelVersion(
        model,
        number,
        content,
        NOW + timedelta(minutes=place),
        description=" ".join(words),
        tags=tags,
        formats=(EdgeFormat("onnx-fp32", onnx), EdgeFormat("onnx-int8", onnx if number % 3 else None)),
    )


def fill(connection: Connection, versions: int) -> None:
    """Models and versions through the code that the migration fills the index with."""
    dice = random.Random(1)
    counts = [versions // 5] + [versions * 4 // 5 // (MODELS - 1)] * (MODELS - 1)
    place = 0
    for number, count in enumerate(counts):
        name = f"models/m-{number}"
        moved = {"champion": max(1, count - 3), "candidate": count}
        model = Model(name, f"Model {number}", NOW, NOW, count, moved, 1, count)
        connection.execute(insert(tables.models), {"name": name, **model_row(model)})
        model_id = connection.execute(
            text("SELECT id FROM models WHERE name = :name"), {"name": name}
        ).scalar_one()
        put_entries(connection, [(model_id, MODEL, entry_of_model(model))])
        at = [{"model_id": model_id, "alias": alias, "number": n} for alias, n in moved.items()]
        connection.execute(insert(aliases), at)
        for start in range(0, count, BATCH):
            made = [
                make_version(name, n + 1, place + n, dice) for n in range(start, min(count, start + BATCH))
            ]
            rows = [{"model_id": model_id, **new_version_row(version)} for version in made]
            connection.execute(insert(tables.versions), rows)
            put_entries(connection, [(model_id, VERSION, entry_of_version(version)) for version in made])
        place += count


async def fill_once(database: Database, versions: int) -> float:
    """Fill the database if it is empty; the seconds that it took."""
    await migrate(database, "autoisp_registry.migrations")
    async with database.read() as session:
        if await session.scalar(select(func.count()).select_from(tables.models)):
            return 0.0
    started = time.perf_counter()
    async with database.transaction() as session:
        await (await session.connection()).run_sync(fill, versions)
    filled_s = time.perf_counter() - started
    if database.dialect == "postgresql":
        # As autovacuum does on its own a minute after.
        async with database.engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(
                text("VACUUM ANALYZE")
            )
    return filled_s


async def measure(database: Database, versions: int, repeats: int) -> dict[str, Any]:
    """Ask a filled database for every list many times, in turns; milliseconds."""
    filled_s = await fill_once(database, versions)
    load = os.getloadavg()[0]
    finder = SqlFinder(database)
    times: dict[str, list[float]] = {name: [] for name in LISTS}
    worked: dict[str, list[float]] = {name: [] for name in LISTS}
    server = await server_process(database)
    found: dict[str, int] = {}
    for turn in range(repeats + 1):
        for name, asked in LISTS.items():
            before, began = processor_ms(server), time.perf_counter()
            page = await finder.find_versions(Listing.of_versions(**asked))
            took = (time.perf_counter() - began) * 1000
            if turn:  # the first time compiles statements and fills caches
                times[name].append(took)
                worked[name].append(processor_ms(server) - before)
            if page.next_page_token and turn == 0:
                again = Listing.of_versions(**asked, page_token=page.next_page_token)
                await finder.find_versions(again)
            found[name] = len(page.items)
    everything = [took for one in times.values() for took in one]
    all_worked = [took for one in worked.values() for took in one]
    return {
        "fill_seconds": round(filled_s, 1),
        "load_average": {"before": round(load, 1), "after": round(os.getloadavg()[0], 1)},
        "all": percentiles(everything),
        "processor_ms": percentiles(all_worked),
        "goal_met": percentiles(everything)["p95"] <= GOAL_MS,
        "lists": {
            name: {
                **LISTS[name],
                "found": found[name],
                **percentiles(times[name]),
                "processor_ms": percentiles(worked[name])["p50"],
            }
            for name in LISTS
        },
    }


async def server_process(database: Database) -> int | None:
    """The process that answers the one connection that is used; None: SQLite has none of its own."""
    if database.dialect == "sqlite":
        return None
    async with database.read() as session:
        pid: int = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        return pid


def processor_ms(server: int | None) -> float:
    """What this process and the server's have used so far: on a busy machine it says more than the clock."""
    own = time.process_time() * 1000
    if server is None:
        return own
    return own + int(Path(f"/proc/{server}/schedstat").read_text().split()[0]) / 1e6


def percentiles(values: list[float]) -> dict[str, float]:
    """Of milliseconds."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p95": round(cuts[94], 2), "p99": round(cuts[98], 2)}


async def main() -> None:
    """Both databases, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    about = {"versions": asked.versions, "models": MODELS, "page": 50, "goal_p95_ms": GOAL_MS}
    with contextlib.ExitStack() as stack:
        folder = asked.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        if asked.only != "postgresql":
            sqlite = Database(f"sqlite+aiosqlite:///{folder}/registry.db", "registry")
            record("registry_list_sqlite", about | await measure(sqlite, asked.versions, asked.repeats))
            await sqlite.close()
        if asked.only != "sqlite":
            server = stack.enter_context(postgres_server(folder / "postgres"))
            url = folder / "postgres.url"
            if not url.exists():
                url.write_text(server.new_database())
            postgres = Database(url.read_text(), "registry")
            record("registry_list_postgresql", about | await measure(postgres, asked.versions, asked.repeats))
            await postgres.close()


if __name__ == "__main__":
    asyncio.run(main())

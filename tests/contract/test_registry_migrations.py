"""Every released schema of the registry comes up to the newest one, with its rows, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from autoisp.registry.v1 import registry_pb2
from autoisp_core.artifact import Artifact
from autoisp_registry import tables, wire
from autoisp_registry.bus import encode
from autoisp_registry.domain import Content, Conversion, Lineage, ModelVersion, as_registered
from autoisp_registry.filters import Listing
from autoisp_registry.ports import Message
from autoisp_registry.store import SqlFinder, SqlStore
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import differences, migrate
from autoisp_runtime.outbox import Outbox
from sqlalchemy import text

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
MIGRATIONS = "autoisp_registry.migrations"
MANY = 1_003  # more than are brought up at a time


def content(number: int) -> Content:
    sha256 = f"{number:064x}"
    onnx = Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, 5, "application/onnx")
    return Content(onnx, {"psnr_model": 31.0}, Lineage(evaluation="evaluations/e"))


async def fill(database: Database, model_id: int, name: str, versions: int) -> None:
    """Rows as releases before 0003 wrote them."""
    model = registry_pb2.Model(
        name=name, display_name="m", latest_version=versions, aliases={"champion": 1}, etag='"3"'
    )
    model.create_time.FromDatetime(NOW)
    model.update_time.FromDatetime(NOW)
    async with database.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO models (id, name, revision, body) VALUES (:id, :name, 3, :body)"),
            {"id": model_id, "name": name, "body": model.SerializeToString()},
        )
        await connection.execute(
            text(
                "INSERT INTO model_versions (model_id, number, idempotency_key, body) "
                "VALUES (:id, :n, :key, :body)"
            ),
            [
                {
                    "id": model_id,
                    "n": n,
                    "key": f"evaluation/{name}-{n}",
                    "body": wire.registered_to(ModelVersion(name, n, content(n), NOW)).SerializeToString(),
                }
                for n in range(1, versions + 1)
            ],
        )


@pytest.mark.parametrize("released", ["0001", "0002"])
async def test_rows_of_a_released_schema_come_up(database: Database, released: str) -> None:
    await migrate(database, MIGRATIONS, released)
    await fill(database, 1, "models/m", MANY)
    await fill(database, 2, "models/n", 2)
    await migrate(database, MIGRATIONS)
    assert await differences(database, tables.metadata, apart_from="search_words") == []
    store: SqlStore[Message] = SqlStore(database, Outbox(database, tables.outbox), encode)
    model = await store.model("models/m")
    assert model is not None
    assert (model.latest_version, model.last_number, model.revision) == (MANY, MANY, 3)
    assert (dict(model.aliases), dict(model.history), model.deleted) == ({"champion": 1}, {}, False)
    version = await store.version("models/m", 1)
    assert version == ModelVersion(
        "models/m", 1, content(1), NOW, formats=(as_registered(content(1)),), aliases=("champion",)
    )
    assert (version.revision, version.conversion, version.evidence) == (1, Conversion(), ())
    assert await store.find("evaluation/models/n-2") == await store.version("models/n", 2)
    finder = SqlFinder(database)
    oldest = (await finder.find_versions(Listing.of_versions("models/m", 10))).items
    assert [version.number for version in oldest] == list(range(1, 11))
    found = await finder.find_versions(Listing.of_versions(filter_text="alias:champion evaluations"))
    assert [version.name for version in found.items] == ["models/m/versions/1", "models/n/versions/1"]
    assert len((await finder.find_models(Listing.of_models(filter_text="name:models"))).items) == 2
    async with store.transaction() as transaction:
        for name, last in (("models/m", MANY), ("models/n", 2)):
            assert await transaction.find_onnx(name, content(last).onnx.sha256) == last
            assert await transaction.newest(name) == last
        assert (await transaction.lock("models/n", NOW)).with_version(NOW).latest_version == 3

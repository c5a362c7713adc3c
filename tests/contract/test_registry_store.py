"""The registry's store over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from autoisp.registry.v1 import registry_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from autoisp_core.pagination import PageRequest, encode_page_token
from autoisp_core.release.ed25519 import PrivateKey
from autoisp_registry import tables, wire
from autoisp_registry.audit import AuditDraft
from autoisp_registry.bus import StoredVersions, encode
from autoisp_registry.datasets import StoredDatasets
from autoisp_registry.domain import (
    Content,
    Conversion,
    EdgeFormat,
    Evidence,
    Failure,
    GateResult,
    Lineage,
    ModelVersion,
    Prototype,
    as_registered,
)
from autoisp_registry.filters import Listing
from autoisp_registry.ports import Message, VersionRegistered
from autoisp_registry.records import StoredRecords
from autoisp_registry.signing import ManifestSigner
from autoisp_registry.store import SqlFinder, SqlStore
from autoisp_registry.usecases import Adding, Aliases, Judging, NewVersion, Registering
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import differences, migrate
from autoisp_runtime.outbox import Outbox
from sqlalchemy.ext.asyncio import AsyncSession

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
ALL = PageRequest(1000, None)
ONNX = Artifact(f"blobs/aa/{'a' * 64}", "a" * 64, 5, "application/onnx")
CONTENT = Content(
    ONNX,
    {"psnr_model": 31.25, "parameters": 1234.0},
    Lineage("datasets/d", "searches/s", "searches/s/trials/t", "evaluations/e", Prototype("classical")),
    '{"width": 16}',
    GateResult(True, ("psnr ≥",)),
)

Store = SqlStore[Message]


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database, tables.outbox)


@pytest.fixture
async def store(database: Database, outbox: Outbox) -> Store:
    await migrate(database, "autoisp_registry.migrations")
    return SqlStore(database, outbox, encode)


class Trusting:
    async def check(self, onnx: Artifact, field: str) -> None:
        """All is well."""


def version_of(model: str, number: int) -> ModelVersion:
    return ModelVersion(model, number, CONTENT, NOW, formats=(as_registered(CONTENT),))


async def numbers(database: Database, *, show_deleted: bool = False) -> list[int]:
    """Of the versions of models/m that a list has."""
    listing = Listing.of_versions("models/m", show_deleted=show_deleted)
    return [version.number for version in (await SqlFinder(database).find_versions(listing)).items]


async def add(store: Store, model: str = "models/m", key: str | None = None) -> ModelVersion:
    async with store.transaction() as transaction:
        current = await transaction.lock(model, NOW)
        after = current.with_version(NOW)
        version = version_of(model, after.latest_version)
        await transaction.add_version(version, key)
        await transaction.save(after)
        await transaction.send(VersionRegistered(version))
    return version


async def test_migrations_make_the_tables(store: Store, database: Database) -> None:
    assert await differences(database, tables.metadata, apart_from="search_words") == []


async def test_what_is_added_can_be_read(store: Store) -> None:
    version = await add(store, key="k")
    assert version.number == 1
    assert await store.version("models/m", 1) == version
    assert await store.find("k") == version
    model = await store.model("models/m")
    assert model is not None
    assert (model.latest_version, model.revision, model.create_time) == (1, 1, NOW)
    assert await store.version("models/m", 2) is None
    assert await store.version("models/n", 1) is None
    assert await store.model("models/n") is None
    assert await store.find("other") is None


async def test_versions_are_numbered_per_model(store: Store) -> None:
    numbers = [(await add(store, model)).number for model in ("models/m", "models/n", "models/m")]
    assert numbers == [1, 1, 2]


async def test_versions_that_come_at_once_get_distinct_numbers(
    store: Store, database: Database, outbox: Outbox
) -> None:
    added = await asyncio.gather(*(add(store) for _ in range(8)))
    assert sorted(version.number for version in added) == list(range(1, 9))
    assert await numbers(database) == list(range(1, 9))
    assert await outbox.pending() == 8


async def test_a_key_is_taken_once_and_a_clash_spoils_nothing(store: Store) -> None:
    await add(store, key="k")
    async with store.transaction() as transaction:
        model = (await transaction.lock("models/m", NOW)).with_version(NOW)
        with pytest.raises(AlreadyExistsError):
            await transaction.add_version(version_of("models/m", 2), "k")
        await transaction.add_version(version_of("models/m", 2), "l")
        await transaction.save(model)
    assert await store.find("l") == version_of("models/m", 2)


async def test_the_same_request_at_once_registers_once(
    store: Store, database: Database, tmp_path: object
) -> None:
    artifacts = AsyncArtifactStore(ArtifactStore(f"{tmp_path}/artifacts"))
    onnx = await artifacts.put_bytes(b"onnx", "application/onnx")
    publisher, datasets = StoredVersions(artifacts), StoredDatasets(artifacts)
    signer = ManifestSigner(PrivateKey.generate(), artifacts)
    adding, judging = Adding(store, publisher, signer), Judging(StoredRecords(artifacts))
    registering = Registering(store, adding, artifacts, datasets, Trusting(), judging)
    new = NewVersion(Content(onnx))
    found = await asyncio.gather(*(registering.register("models/m", new, "same", "ann") for _ in range(6)))
    assert {version.number for version in found} == {1}
    assert await numbers(database) == [1]
    left = await artifacts.get_result("models/m/versions/1")
    assert left is not None
    assert wire.version_from(registry_pb2.ModelVersion.FromString(left)).content == found[0].content
    entries = (await store.list_entries(ALL)).items
    assert [(entry.draft.action, entry.draft.resource) for entry in entries] == [
        ("version.register", "models/m/versions/1")
    ]


async def test_aliases_are_kept(store: Store) -> None:
    await add(store)
    async with store.transaction() as transaction:
        model = await transaction.lock_existing("models/m")
        assert model is not None
        await transaction.save(model.with_alias("champion", 1, NOW).with_alias("phone", 1, NOW))
    saved = await store.model("models/m")
    assert saved is not None
    assert saved.aliases == {"champion": 1, "phone": 1}
    assert saved.etag != model.etag
    async with store.transaction() as transaction:
        assert await transaction.lock_existing("models/n") is None


@pytest.mark.parametrize("number", [-1, 1 << 31, (1 << 63) - 1])
async def test_an_alias_of_a_number_that_no_column_holds_is_refused(store: Store, number: int) -> None:
    await add(store)
    with pytest.raises(NotFoundError) as caught:
        await Aliases(store).set_alias("models/m", "night", number, "", "ann")
    assert caught.value.metadata["field"] == "version"


async def test_changes_and_messages_go_together(store: Store, outbox: Outbox) -> None:
    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.lock("models/m", NOW)
            await transaction.send(VersionRegistered(version_of("models/m", 1)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await store.model("models/m") is None
    assert await outbox.pending() == 0


@pytest.mark.parametrize("key", ["x", "-1", "9" * 19, "99999999999"])
async def test_a_forged_token_is_refused(store: Store, key: str) -> None:
    token = encode_page_token(key)
    with pytest.raises(InvalidArgumentError) as caught:
        await store.list_entries(PageRequest.parse(2, token))
    assert caught.value.field == "page_token"


async def test_what_may_change_is_kept_and_the_rest_stays(store: Store, database: Database) -> None:
    await add(store)
    before = await store.version("models/m", 1)
    assert before is not None
    made = EdgeFormat("onnx-int8", failure=Failure("NO_FOOTAGE", "none"), shadow_loss_db=0.0)
    after = replace(
        before.with_evidence(Evidence("evaluations/f", "mine", ONNX, NOW)),
        description="ein Gerät",
        tags={"a": "b"},
        conversion=Conversion(seed=3, frames_per_clip=4).again(before.name, NOW),
        signed_manifest=ONNX,
        formats=(*before.formats, made),
    )
    async with store.transaction() as transaction:
        assert await transaction.lock_existing("models/m")
        await transaction.save_version(after)
        assert await transaction.version("models/m", 1) == after
    assert await store.version("models/m", 1) == after
    found = await SqlFinder(database).find_versions(Listing.of_versions("models/m"))
    assert found.items == (after,)
    assert after.revision == 2


async def test_the_history_of_an_alias_is_kept(store: Store) -> None:
    await add(store)
    async with store.transaction() as transaction:
        model = await transaction.lock_existing("models/m")
        assert model is not None
        for number in (1, 2, 3):
            model = model.with_alias("champion", number, NOW)
        await transaction.save(replace(model, tags={"a": "b"}, promotion_gate="x", description="y"))
    saved = await store.model("models/m")
    assert saved is not None
    assert saved.history == {"champion": (1, 2)}
    assert (saved.tags, saved.promotion_gate, saved.description) == ({"a": "b"}, "x", "y")


async def test_deleted_ones_are_found_only_by_who_asks_for_them(store: Store, database: Database) -> None:
    later = NOW + timedelta(days=1)
    versions = [await add(store) for _ in range(2)] + [await add(store, "models/n")]
    async with store.transaction() as transaction:
        await transaction.save_version(versions[1].changed(delete_time=NOW, purge_time=later))
        assert (await transaction.newest("models/m"), await transaction.newest("models/x")) == (1, 0)
        assert await transaction.find_onnx("models/m", ONNX.sha256) == 1
        model = await transaction.lock_existing("models/n")
        assert model is not None
        await transaction.save(model.changed(NOW, delete_time=NOW, purge_time=later))
    finder = SqlFinder(database)
    assert (await numbers(database), await numbers(database, show_deleted=True)) == ([1], [1, 2])
    assert [m.name for m in (await finder.find_models(Listing.of_models())).items] == ["models/m"]
    assert len((await finder.find_models(Listing.of_models(show_deleted=True))).items) == 2
    for now, due in ((NOW, False), (later, True)):
        assert await store.purgeable_versions(now, 10) == ([("models/m", 2)] if due else [])
        assert await store.purgeable_models(now, 10) == (["models/n"] if due else [])


async def test_what_is_purged_is_gone_and_its_number_too(store: Store, database: Database) -> None:
    versions = [await add(store) for _ in range(3)]
    async with store.transaction() as transaction:
        model = await transaction.lock_existing("models/m")
        assert model is not None
        await transaction.purge_version(versions[0])
    assert await store.version("models/m", 1) is None
    for _ in range(2):
        async with store.transaction() as transaction:
            model = await transaction.lock_existing("models/m")
            assert model is not None
            await transaction.purge_model(model)
        assert await store.model("models/m") is None
        assert await numbers(database) == []
        number = (await add(store)).number
    assert number == 5


async def test_a_change_and_its_entry_go_together_and_wake_who_waits(
    database: Database, outbox: Outbox
) -> None:
    await migrate(database, "autoisp_registry.migrations")
    woken: list[bool] = []

    async def in_use(session: AsyncSession, model: str, number: int | None) -> list[str]:
        return [f"{model} {number}"]

    store: Store = SqlStore(database, outbox, encode, in_use, lambda: woken.append(True))
    await add(store)
    assert woken == []
    draft = AuditDraft("ann", "alias.set", "models/m", "x", request_id="r")
    async with store.transaction() as transaction:
        assert await transaction.in_use("models/m", 1) == ["models/m 1"]
        entry = await transaction.record(draft, NOW)
        with pytest.raises(AlreadyExistsError):
            await transaction.record(draft, NOW)
        await transaction.record(replace(draft, refused=True), NOW)
    assert woken == [True]
    assert await store.find_entry("alias.set/r") == entry
    state = await store.verify()
    assert (state.entries, state.broken_sequence, state.problem) == (2, 0, "")
    newest = (await store.list_entries(PageRequest(1, None), "models/m", descending=True)).items[0]
    assert (newest.draft.refused, newest.sha256) == (True, state.head_sha256)

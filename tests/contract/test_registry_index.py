"""Lists by filter and order over SQLite and PostgreSQL: both answer what a filter means in plain Python."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.pagination import PageRequest, encode_page_token
from autoisp_registry import tables
from autoisp_registry.bus import encode
from autoisp_registry.domain import ModelVersion
from autoisp_registry.filters import Listing
from autoisp_registry.index import entry_of_version, searching
from autoisp_registry.ports import Message
from autoisp_registry.store import SqlFinder, SqlStore
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate
from autoisp_runtime.outbox import Outbox
from registry_filled import NOW, WORDS, fill, fulfils, make_version
from sqlalchemy import text as sql

LEAVES = [
    *(
        f"metrics.psnr {op} {value}"
        for op in ("=", "!=", "<", "<=", ">", ">=")
        for value in (29.5, 30, "-1e30")
    ),
    "metrics.psnr_model > 29.9",
    "metrics:psnr",
    "metrics.odd.name:*",
    "cost.macs_per_pixel < 3600",
    "cost.parameters = 10",
    "cost:macs_per_pixel",
    *(f"tags.sensor {op} phone" for op in ("=", "!=", "<", ">", ":")),
    'tags.sensor = ""',
    "tags:sensor",
    "tags.sensor:PH",
    'tags."my key" = "%_"',
    'tags."my key":"_"',
    "tags.\"my key\" = 'z\\\\\\''",
    'tags."my key" > "a"',
    "name:a/versions",
    "name = models/b/versions/3",
    "name > models/b",
    "model = b",
    "model != models/b",
    "model:c",
    "number <= 2.5",
    "number = 1e300",
    "create_time > 2024-05-06T07:08:10Z",
    'create_time = "2024-05-06T09:08:09+02:00"',
    "create_time:*",
    "alias:champion",
    "alias != champion",
    "alias:*",
    "passed = true",
    "passed != true",
    "passed:*",
    "conversion = running",
    "conversion != running",
    "format:onnx-int8",
    "format:*",
    "lineage.dataset = datasets/1",
    "lineage.search:searches",
    *(f'"{word}"' for word in WORDS),
    '"low light"',
    "nothing",
    '"width 16"',
    'tags.sensor:""',
    "NOT (metrics.psnr > 29.9 OR metrics.psnr <= 29.9)",
    "NOT passed:*",
    'metrics.psnr > "30"',
    "number = 2.0000000001",
    "'IT''S'",
    f'"{"night " * 30}"',
    '"NIGHT low"',
    '"ŞİŞ STRASSE"',
    "'\\' OR 1=1 --x'",
]
MODEL_LEAVES = [
    "name = models/a",
    "display_name:i",
    "latest_version >= 8",
    "update_time > 2024-05-06T07:08:09Z",
    "create_time:*",
    "tags.sensor = phone",
    "alias:night",
    "alias:none",
    "light",
]


@pytest.fixture
async def store(database: Database) -> SqlStore[Message]:
    await migrate(database, "autoisp_registry.migrations")
    return SqlStore(database, Outbox(database, tables.outbox), encode)


def random_filter(leaves: list[str], dice: random.Random, depth: int = 0) -> str:
    if depth == 3 or dice.random() < 0.3:
        return dice.choice(leaves)
    parts = [random_filter(leaves, dice, depth + 1) for _ in range(dice.randint(2, 3))]
    joined = dice.choice((" AND ", " OR ", " ")).join(f"({part})" for part in parts)
    return f"NOT ({joined})" if dice.random() < 0.3 else joined


@pytest.mark.parametrize(("narrow", "rare"), [(-1, 200), (-1, 0), (5, 200), (5_000, 200)])
async def test_random_filters_give_what_they_mean(
    store: SqlStore[Message], database: Database, narrow: int, rare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whichever way the database is asked, the answer is the same.
    monkeypatch.setattr(searching, "NARROW", narrow)
    monkeypatch.setattr(searching, "RARE", rare)
    dice = random.Random(narrow)
    models, versions = await fill(store, dice)
    finder = SqlFinder(database)
    filters = [*LEAVES, *(random_filter(LEAVES, dice) for _ in range(60))]
    answers = set()
    for text in filters:
        listing = Listing.of_versions(page_size=1000, filter_text=text)
        assert listing.expression is not None
        found = (await finder.find_versions(listing)).items
        wanted = [v for v in versions if not v.deleted and fulfils(listing.expression, v)]
        assert [version.name for version in found] == [version.name for version in wanted], text
        answers.add(len(found))
    assert len(answers) > 10, "the filters hardly differ"
    for text in [*MODEL_LEAVES, *(random_filter(MODEL_LEAVES, dice) for _ in range(20))]:
        models_listing = Listing.of_models(filter_text=text)
        assert models_listing.expression is not None
        found_models = (await finder.find_models(models_listing)).items
        wanted_models = [model for model in models if fulfils(models_listing.expression, model)]
        assert [model.name for model in found_models] == [model.name for model in wanted_models], text


def by_metric(version: ModelVersion) -> tuple[bool, Any]:
    value = version.content.metrics.get("psnr_model")
    return (value is None, value or 0.0)


ORDERS: list[tuple[str, Callable[[ModelVersion], Any]]] = [
    ("", lambda version: 0),
    ("create_time", lambda version: version.create_time),
    ("metrics.psnr", by_metric),
]


@pytest.mark.parametrize(("order", "key"), ORDERS)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("looked_at", "narrow"), [(10, 5_000), (0, 5_000), (0, -1)])
async def test_pages_give_everything_once_and_in_order(
    store: SqlStore[Message],
    database: Database,
    order: str,
    key: Callable[[ModelVersion], Any],
    descending: bool,
    looked_at: int,
    narrow: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT", looked_at)
    monkeypatch.setattr(searching, "NARROW", narrow)
    _, versions = await fill(store, random.Random(7))
    if descending and not order:
        return
    wanted = [v for v in versions if v.number > 2 and "sensor" in v.tags]
    if descending:
        wanted.reverse()
        missing = [v for v in wanted if key(v) == (True, 0.0)]
        wanted = sorted((v for v in wanted if v not in missing), key=key, reverse=True) + missing
    else:
        wanted.sort(key=key)
    finder, found, token = SqlFinder(database), [], ""
    while True:
        page = await finder.find_versions(
            Listing.of_versions(
                page_size=4,
                page_token=token,
                filter_text="number > 2 AND tags:sensor",
                order_by=f"{order} desc" if descending else order,
                show_deleted=True,
            )
        )
        assert len(page.items) <= 4
        found += page.items
        if not (token := page.next_page_token):
            break
    assert [version.name for version in found] == [version.name for version in wanted]


async def test_pages_end_before_a_message_is_full(
    store: SqlStore[Message], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With formats, lints and evidence, a thousand versions are more than gRPC takes at a time."""
    models, versions = await fill(store, random.Random(7))
    finder = SqlFinder(database)
    for most in (1, 2000):
        monkeypatch.setattr("autoisp_core.pagination.MAX_PAGE_BYTES", most)
        found, token, pages = [], "", 0
        while not pages or token:
            listing = Listing.of_versions(page_size=1000, page_token=token, show_deleted=True)
            page = await finder.find_versions(listing)
            found, token, pages = [*found, *page.items], page.next_page_token, pages + 1
        assert found == versions
        assert pages == len(versions) if most == 1 else 2 < pages < len(versions)
    monkeypatch.setattr("autoisp_core.pagination.MAX_PAGE_BYTES", 1)
    first = await finder.find_models(Listing.of_models(1000))
    assert first.items == (models[0],)
    assert (await finder.find_models(Listing.of_models(1000, first.next_page_token))).items == (models[1],)


async def test_models_are_ordered_too(store: SqlStore[Message], database: Database) -> None:
    await fill(store, random.Random(1))
    finder = SqlFinder(database)
    first = await finder.find_models(Listing.of_models(2, order_by="name desc"))
    assert [model.name for model in first.items] == ["models/c-2", "models/b"]
    rest = await finder.find_models(Listing.of_models(2, first.next_page_token, order_by="name desc"))
    assert ([model.name for model in rest.items], rest.next_page_token) == (["models/a"], "")


async def names_of(finder: SqlFinder, text: str, model: str = "", *, show_deleted: bool = False) -> list[str]:
    listing = Listing.of_versions(model, filter_text=text, show_deleted=show_deleted)
    return [version.name for version in (await finder.find_versions(listing)).items]


async def test_what_changes_is_found_as_it_is_now(store: SqlStore[Message], database: Database) -> None:
    finder, dice = SqlFinder(database), random.Random(3)
    first, second = (replace(make_version("models/m", n, dice), delete_time=None) for n in (1, 2))
    async with store.transaction() as transaction:
        model = (await transaction.lock("models/m", NOW)).with_version(NOW).with_version(NOW)
        await transaction.add_version(first, None)
        await transaction.add_version(second, None)
        await transaction.save(model.with_alias("night", 1, NOW))
    assert await names_of(finder, "alias:night") == ["models/m/versions/1"]
    async with store.transaction() as transaction:
        await transaction.save(model.with_alias("night", 2, NOW))
        await transaction.save_version(first.changed(description="Polarlicht", tags={"k": "new"}))
    assert await names_of(finder, "alias:night") == ["models/m/versions/2"]
    assert await names_of(finder, "polarlicht AND tags.k = new") == ["models/m/versions/1"]
    async with store.transaction() as transaction:
        await transaction.save_version(first.changed(description="", tags={}))
    assert await names_of(finder, "polarlicht OR tags:k") == []

    async with store.transaction() as transaction:
        await transaction.save_version(second.changed(delete_time=NOW))
        await transaction.save(model.changed(NOW, delete_time=NOW))
    assert await names_of(finder, "", "models/m") == []
    assert len(await names_of(finder, "", "models/m", show_deleted=True)) == 2
    async with store.transaction() as transaction:
        # Such as formats that were being made when the model was deleted.
        await transaction.save_version(first.changed(description="late"))
    assert await names_of(finder, "") == []
    async with store.transaction() as transaction:
        await transaction.save(model)
    assert await names_of(finder, "late") == ["models/m/versions/1"]
    async with store.transaction() as transaction:
        await transaction.purge_version(second)
    assert await names_of(finder, "", show_deleted=True) == ["models/m/versions/1"]
    async with store.transaction() as transaction:
        await transaction.purge_model(model)
    assert await names_of(finder, "", show_deleted=True) == []
    assert (await finder.find_models(Listing.of_models(show_deleted=True))).items == ()
    async with database.read() as session:
        for table in ("entries", "texts", "numbers", "aliases", "words"):
            left = await session.scalar(sql(f"SELECT count(*) FROM search_{table}"))
            assert left == 0, table


async def test_pages_hold_while_others_write(store: SqlStore[Message], database: Database) -> None:
    _, versions = await fill(store, random.Random(2))
    finder, dice = SqlFinder(database), random.Random(5)
    found, token = [], ""
    for number in range(9, 100):
        listing = Listing.of_versions("", 3, token, "tags:sensor", "metrics.psnr desc", show_deleted=True)
        page = await finder.find_versions(listing)
        found += [version.name for version in page.items]
        if not (token := page.next_page_token):
            break
        async with store.transaction() as transaction:
            model = await transaction.lock("models/a", NOW)
            await transaction.add_version(make_version("models/a", number, dice), None)
            await transaction.save(model.with_version(NOW))
            # What was given out goes, so that the place of the token is one that is not there any more.
            gone = next(v for v in versions if v.name == page.items[-1].name) if number == 9 else None
            if gone is not None:
                await transaction.purge_version(gone)
    before = [version.name for version in versions if "sensor" in version.tags]
    assert len(found) == len(set(found))
    assert set(before) <= set(found)


async def test_a_transaction_that_fails_leaves_nothing_to_find(
    store: SqlStore[Message], database: Database
) -> None:
    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.lock("models/m", NOW)
            await transaction.add_version(make_version("models/m", 1, random.Random(1)), None)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    finder = SqlFinder(database)
    assert await names_of(finder, "", show_deleted=True) == []
    assert (await finder.find_models(Listing.of_models(show_deleted=True))).items == ()


async def test_a_token_is_bound_to_its_list(store: SqlStore[Message], database: Database) -> None:
    await fill(store, random.Random(1))
    listing = Listing.of_versions(page_size=1, filter_text="number > 1", order_by="create_time")
    token = (await SqlFinder(database).find_versions(listing)).next_page_token
    Listing.of_versions(page_token=token, filter_text="number > 1", order_by="create_time")
    for other in (
        {"filter_text": "number > 2", "order_by": "create_time"},
        {"filter_text": "number > 1", "order_by": "create_time desc"},
        {"filter_text": "number > 1"},
        {"filter_text": "number > 1", "order_by": "create_time", "show_deleted": True},
        {"filter_text": "number > 1", "order_by": "create_time", "model": "models/a"},
    ):
        with pytest.raises(InvalidArgumentError) as raised:
            Listing.of_versions(page_token=token, **other)  # type: ignore[arg-type]
        assert raised.value.field == "page_token"


@pytest.mark.parametrize("order", ["", "create_time", "metrics.psnr desc"])
@pytest.mark.parametrize(
    "forged",
    [
        *("", "x", "[1]", "[[],1]", '["a",1]', "[1,-1]", "[NaN,1]", "[true,1]", '{"a":1,"b":2}'),
        *(f"[{1 << 64},1]", f"[0,{1 << 64}]", "[" * 5000),
    ],
)
async def test_a_forged_token_is_refused(
    store: SqlStore[Message], database: Database, order: str, forged: str
) -> None:
    listing = Listing.of_versions(order_by=order)
    page = PageRequest.parse(2, encode_page_token(forged, listing.page.query), listing.page.query)
    with pytest.raises(InvalidArgumentError) as raised:
        await SqlFinder(database).find_versions(replace(listing, page=page))
    assert raised.value.field == "page_token"


async def test_a_word_that_comes_often_is_found_alike(store: SqlStore[Message], database: Database) -> None:
    often = replace(
        make_version("models/m", 1, random.Random(1)), delete_time=None, description="a " * 400 + "end z"
    )
    async with store.transaction() as transaction:
        model = (await transaction.lock("models/m", NOW)).with_version(NOW)
        await transaction.add_version(often, None)
        await transaction.save(model)
    finder = SqlFinder(database)
    for asked in ('"end z"', '"a end"', f'"{"a " * 255}"', f'"{"a " * 255} end z"'):
        assert await names_of(finder, asked) == ["models/m/versions/1"], asked
    assert await names_of(finder, '"z end"') == []


def test_what_cannot_be_measured_is_no_number() -> None:
    version = make_version("models/m", 1, random.Random(1))
    content = replace(version.content, metrics={"psnr": math.nan, "ssim": math.inf, "vif": 0.5}, cost=None)
    assert entry_of_version(replace(version, content=content)).numbers == {"metrics.vif": 0.5}

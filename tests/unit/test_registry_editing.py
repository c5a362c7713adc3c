"""Changing and deleting models and versions, and pointing free aliases at them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from autoisp_core.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from autoisp_registry.usecases import Wanted
from registry_fakes import World

GATE = '[[check]]\nmetric = "psnr"\nat_least = 30.0\n'
ONE = "models/m/versions/1"


@pytest.fixture
async def world() -> World:
    world = World()
    await world.filled(2)
    world.store.entries.clear()
    world.store.sent.clear()
    return world


async def test_a_models_fields_change_as_the_mask_says(world: World) -> None:
    wanted = Wanted("models/m", "", "Mine", "A text", {"a": "1", "b": "2"}, GATE)
    model = await world.editing.update_model(wanted, [], "ann")
    assert (model.display_name, model.description, model.promotion_gate) == ("Mine", "A text", GATE)
    model = await world.editing.update_model(
        Wanted("models/m", model.etag, tags={"c": "3", "a": "9"}), ["tags.c", "tags.b"], "bob"
    )
    assert model.tags == {"a": "1", "c": "3"}
    assert model.description == "A text"
    model = await world.editing.update_model(Wanted("models/m"), ["tags", "promotion_gate"], "bob")
    assert (model.tags, model.promotion_gate) == ({}, "")
    assert [(e.draft.actor, e.draft.summary) for e in world.store.entries] == [
        ("ann", "changed description, display_name, promotion_gate, tags"),
        ("bob", "changed tags"),
        ("bob", "changed promotion_gate, tags"),
    ]


async def test_what_is_as_it_was_changes_nothing(world: World) -> None:
    before = await world.models.get_model("models/m")
    assert await world.editing.update_model(Wanted("models/m"), [], "ann") == before
    assert await world.editing.update_model(Wanted("models/m"), ["tags.none"], "ann") == before
    assert world.actions() == []


async def test_a_versions_description_and_tags_change_and_nothing_else(world: World) -> None:
    before = await world.models.get_version(ONE)
    after = await world.editing.update_version(Wanted(ONE, description="x", tags={"a": "b"}), [], "ann")
    assert (after.description, after.tags, after.content) == ("x", {"a": "b"}, before.content)
    assert after.etag != before.etag
    with pytest.raises(AbortedError):
        await world.editing.update_version(Wanted(ONE, before.etag), ["description"], "ann")
    assert world.actions() == ["version.update"]


@pytest.mark.parametrize(
    ("changes", "mask", "field"),
    [
        ({"name": "m"}, [], "model.name"),
        ({"tags": {"A": "b"}}, [], "model.tags"),
        ({"tags": {"a" * 64: "b"}}, [], "model.tags"),
        ({"tags": {"a": "b" * 257}}, [], "model.tags.a"),
        ({"tags": {"a": "\n"}}, [], "model.tags.a"),
        ({"tags": {f"t{i}": "" for i in range(65)}}, [], "model.tags"),
        ({"description": "x" * 10_001}, [], "model.description"),
        ({"display_name": ""}, ["display_name"], "model.display_name"),
        ({"display_name": "\t"}, [], "model.display_name"),
        ({"promotion_gate": "nonsense"}, [], "model.promotion_gate"),
        ({}, ["name"], "update_mask"),
        ({}, ["aliases"], "update_mask"),
        ({}, ["tags.X"], "update_mask"),
        ({}, ["tags."], "update_mask"),
    ],
)
async def test_bad_updates_name_the_field(
    world: World, changes: dict[str, Any], mask: Sequence[str], field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await world.editing.update_model(Wanted(**{"name": "models/m", **changes}), mask, "ann")
    assert caught.value.field == field
    assert world.actions() == []


async def test_tags_may_be_64_but_not_one_more(world: World) -> None:
    full = Wanted("models/m", tags={f"t{i}": "" for i in range(64)})
    assert len((await world.editing.update_model(full, ["tags"], "ann")).tags) == 64
    with pytest.raises(InvalidArgumentError):
        await world.editing.update_model(Wanted("models/m", tags={"more": ""}), ["tags.more"], "ann")


@pytest.mark.parametrize("name", ["models/m/versions/latest", "models/m", "models/m/versions/01"])
async def test_versions_are_changed_by_number(world: World, name: str) -> None:
    for call in (
        world.editing.update_version(Wanted(name, description="x"), [], "ann"),
        world.deleting.delete_version(name, "", "ann"),
        world.deleting.undelete_version(name, "ann"),
        world.conversions.ask(name, (), "", "ann"),
    ):
        with pytest.raises(InvalidArgumentError):
            await call


async def test_a_deleted_version_is_hidden_until_it_is_restored(world: World) -> None:
    two = "models/m/versions/2"
    deleted = await world.deleting.delete_version(two, "", "ann")
    assert deleted.delete_time == world.now
    assert deleted.purge_time == world.now + timedelta(days=30)
    for name in (two, "models/m/versions/2"):
        with pytest.raises(NotFoundError, match="UndeleteModelVersion") as caught:
            await world.models.get_version(name)
        assert caught.value.reason == "DELETED"
    assert (await world.models.get_version("models/m/versions/latest")).number == 1
    restored = await world.deleting.undelete_version(two, "ann")
    assert not restored.deleted
    assert (await world.models.get_version("models/m/versions/latest")).number == 2
    assert await world.deleting.undelete_version(two, "ann") == await world.models.get_version(two)
    assert world.actions() == ["version.delete", "version.undelete"]


async def test_what_is_used_is_not_deleted(world: World) -> None:
    await world.aliases.set_alias("models/m", "night", 1, "", "ann")
    world.store.serving["products/p/channels/stable"] = ("models/m", 2)
    for call, user in (
        (world.deleting.delete_version(ONE, "", "ann"), "night"),
        (world.deleting.delete_version("models/m/versions/2", "", "ann"), "products/p/channels/stable"),
        (world.deleting.delete_model("models/m", "", "ann"), "products/p/channels/stable"),
    ):
        with pytest.raises(FailedPreconditionError, match=user) as caught:
            await call
        assert caught.value.reason == "IN_USE"
    world.store.serving.clear()
    await world.aliases.delete_alias("models/m", "night", "", "ann")
    await world.deleting.delete_version(ONE, "", "ann")
    await world.deleting.delete_model("models/m", "", "ann")


async def test_a_deleted_model_takes_nothing_in_until_it_is_restored(world: World) -> None:
    await world.deleting.delete_model("models/m", "", "ann")
    for call in (
        world.models.get_model("models/m"),
        world.models.get_version(ONE),
        world.register(seed=500),
        world.aliases.set_alias("models/m", "night", 1, "", "ann"),
        world.editing.update_model(Wanted("models/m", description="x"), [], "ann"),
        world.deleting.delete_model("models/m", "", "ann"),
    ):
        with pytest.raises(NotFoundError, match="UndeleteModel"):
            await call
    assert not (await world.deleting.undelete_model("models/m", "ann")).deleted
    assert (await world.models.get_version(ONE)).number == 1


async def test_what_was_deleted_is_gone_for_good_in_time_and_no_number_comes_again(world: World) -> None:
    await world.deleting.delete_version("models/m/versions/2", "", "ann")
    world.now += timedelta(days=29)
    assert await world.retention.sweep() == 0
    world.now += timedelta(days=2)
    assert await world.retention.sweep() == 1
    assert set(world.publisher.versions) == {ONE}
    with pytest.raises(NotFoundError):
        await world.deleting.undelete_version("models/m/versions/2", "ann")
    assert (await world.register(seed=600)).number == 3
    await world.deleting.delete_model("models/m", "", "ann")
    world.now += timedelta(days=31)
    assert await world.retention.sweep() == 1
    assert world.publisher.versions == {}
    assert world.actions()[-1] == "model.purge"
    assert (await world.register(seed=601)).number == 4


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda w: w.deleting.delete_model("models/m", '"0"', "ann"), AbortedError),
        (lambda w: w.deleting.delete_version(ONE, '"0"', "ann"), AbortedError),
        (lambda w: w.deleting.delete_model("m", "", "ann"), InvalidArgumentError),
        (lambda w: w.deleting.delete_model("models/n", "", "ann"), NotFoundError),
        (lambda w: w.deleting.undelete_model("models/n", "ann"), NotFoundError),
        (lambda w: w.deleting.delete_version("models/m/versions/9", "", "ann"), NotFoundError),
        (lambda w: w.deleting.undelete_version("models/m/versions/9", "ann"), NotFoundError),
        (lambda w: w.aliases.set_alias("models/m", "champion", 1, "", "ann"), FailedPreconditionError),
        (lambda w: w.aliases.delete_alias("models/m", "champion", "", "ann"), FailedPreconditionError),
        (lambda w: w.aliases.delete_alias("models/m", "none", "", "ann"), NotFoundError),
        (lambda w: w.aliases.delete_alias("models/m", "7", "", "ann"), InvalidArgumentError),
        (lambda w: w.aliases.delete_alias("m", "a", "", "ann"), InvalidArgumentError),
    ],
)
async def test_what_can_t_be_done_is_refused_and_changes_nothing(
    world: World, call: Any, code: type[Exception]
) -> None:
    with pytest.raises(code):
        await call(world)
    assert (world.actions(), world.store.sent) == ([], [])

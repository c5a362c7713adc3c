"""The registry's use cases, with fakes around."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from autoisp_core.errors import (
    AbortedError,
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from autoisp_registry.domain import Cost, GateResult, Lineage, Model, ModelVersion, Prototype, Sensor
from autoisp_registry.domain.models import MAX_ALIASES
from autoisp_registry.domain.versions import MAX_EVIDENCE
from autoisp_registry.gate import Limits
from autoisp_registry.ports import ConvertVersion, ModelChanged, VersionPromoted, VersionRegistered
from autoisp_registry.usecases import JudgedVersion, NewVersion, Promote, Wanted, publish_earlier
from registry_fakes import NOW, World, artifact, content, judged, measured, network


@pytest.fixture
def world() -> World:
    return World()


async def test_a_good_network_becomes_candidate_and_champion(world: World) -> None:
    version = await world.registering.register_evaluated(network())
    assert version.name == "models/m/versions/1"
    assert version.content.gate is not None
    assert version.content.gate.passed
    assert version.content.metrics["latency_ratio"] == pytest.approx(150)
    assert version.content.lineage == network().lineage
    model = await world.models.get_model("models/m")
    assert model.aliases == {"candidate": 1, "champion": 1}
    assert [type(message) for message in world.store.sent] == [
        *(VersionRegistered, ConvertVersion, VersionPromoted, VersionPromoted),
        *(ModelChanged, ModelChanged, ModelChanged),
    ]
    assert world.actions() == ["version.register", "alias.set", "version.promote"]
    last = world.store.entries[-1].draft
    assert (last.actor, last.resource, last.evaluation) == ("registry", version.name, "evaluations/e")
    assert last.checks == version.content.gate.checks
    assert last.details == {"alias": "champion", "from": "", "to": "1"}
    assert version.aliases == ("candidate", "champion")
    assert set(world.publisher.versions) == {version.name}


async def test_a_network_that_fails_the_gate_is_only_candidate(world: World) -> None:
    await world.registering.register_evaluated(network())
    worse = network(lineage=Lineage(evaluation="evaluations/f"), measured=measured(20.0))
    version = await world.registering.register_evaluated(worse)
    assert version.number == 2
    assert (await world.models.get_model("models/m")).aliases == {"candidate": 2, "champion": 1}
    assert (await world.models.get_version("models/m/versions/champion")).number == 1


async def test_a_network_that_fails_its_evaluations_gate_is_only_candidate(world: World) -> None:
    failed = GateResult(False, ("ssim: failed, 0.9 < 0.95",))
    version = await world.registering.register_evaluated(network(own_gate=failed))
    assert (await world.models.get_model("models/m")).aliases == {"candidate": 1}
    assert version.content.gate is not None
    assert not version.content.gate.passed
    assert version.content.gate.checks[-1] == "ssim: failed, 0.9 < 0.95"
    passed = network(own_gate=replace(failed, passed=True), lineage=Lineage(evaluation="evaluations/f"))
    await world.registering.register_evaluated(passed)
    assert (await world.models.get_model("models/m")).aliases == {"candidate": 2, "champion": 2}


async def test_a_version_that_cannot_be_left_for_others_is_not_registered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(version: ModelVersion) -> None:
        raise UnavailableError("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(world.publisher, "publish", away)
        with pytest.raises(UnavailableError):
            await world.registering.register_evaluated(network())
    assert world.store.versions == {}
    assert world.store.entries == []
    again = await world.registering.register_evaluated(network())
    assert list(world.publisher.versions) == [again.name] == ["models/m/versions/1"]


async def test_versions_of_an_earlier_release_are_left_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for model in ("models/m", "models/m", "models/m", "models/n"):
        await world.register(model)
    everything = dict(world.publisher.versions)
    assert len(everything) == 4
    # The first release that left versions was stopped in the middle, after a new one came.
    for name in ("models/m/versions/1", "models/m/versions/2", "models/n/versions/1"):
        del world.publisher.versions[name]
    tries = iter((False, True))
    publish = world.publisher.publish

    async def at_the_second_try(version: ModelVersion) -> None:
        if version.number == 1 and not next(tries, True):
            raise UnavailableError("the store is away")
        await publish(version)

    monkeypatch.setattr(world.publisher, "publish", at_the_second_try)
    await publish_earlier(world.store, world.store, world.publisher, retry_s=0.0)
    assert world.publisher.versions == everything

    async def never(version: ModelVersion) -> None:
        raise AssertionError(f"{version.name} is there")

    monkeypatch.setattr(world.publisher, "publish", never)
    await publish_earlier(world.store, world.store, world.publisher)


STRICT = '[[check]]\nmetric = "psnr"\nat_least = 40.0\n'


@pytest.mark.parametrize(
    ("psnr", "champion"),
    [(41.0, {"champion": 2}), (39.0, {}), (None, {})],
    ids=["passes", "fails", "without a record that can be read"],
)
async def test_the_models_gate_guards_champion_from_searches_too(
    world: World, psnr: float | None, champion: dict[str, int]
) -> None:
    await world.filled(1)
    await world.editing.update_model(Wanted("models/m", promotion_gate=STRICT), [], "ann")
    if psnr is not None:
        world.records.judged[artifact(50).sha256] = judged(psnr, "model")
    version = await world.registering.register_evaluated(network(record=artifact(50)))
    assert version.content.gate is not None
    assert version.content.gate.passed
    assert (await world.models.get_model("models/m")).aliases == {"candidate": 2, **champion}


async def test_a_gate_that_is_set_meanwhile_is_not_passed_by(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.filled(1)
    look = world.store.model

    async def look_then_set(name: str) -> Model | None:
        monkeypatch.setattr(world.store, "model", look)
        seen = await look(name)
        await world.editing.update_model(Wanted("models/m", promotion_gate=STRICT), [], "ann")
        return seen

    monkeypatch.setattr(world.store, "model", look_then_set)
    await world.registering.register_evaluated(network(record=artifact(50)))
    assert (await world.models.get_model("models/m")).aliases == {"candidate": 2}


async def test_an_evaluation_registers_once(world: World) -> None:
    first = await world.registering.register_evaluated(network())
    assert await world.registering.register_evaluated(network()) == first
    world.store.taken_once = "evaluation/evaluations/e"
    assert await world.registering.register_evaluated(network()) == first
    assert (await world.models.get_model("models/m")).latest_version == 1
    assert len(world.store.sent) == 7


async def test_a_network_whose_file_is_gone_is_not_registered(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.registering.register_evaluated(network(onnx=artifact(2)))
    assert world.store.models == {}


async def test_a_person_registers_without_gate_or_alias(world: World) -> None:
    claimed = content(gate=GateResult(True, ("trust me",)))
    version = await world.registering.register("models/m", NewVersion(claimed), "", "ann")
    assert version.content.gate is None
    assert version.content.onnx.media_type == "application/onnx"
    assert [type(message) for message in world.store.sent] == [
        *(VersionRegistered, ConvertVersion, ModelChanged)
    ]
    assert (await world.models.get_model("models/m")).aliases == {}
    assert await world.models.get_version("models/m/versions/1") == version


async def test_of_a_manifest_only_the_digest_is_believed(world: World) -> None:
    stored = artifact(70)
    world.artifacts.stored[stored.sha256] = stored
    lineage = Lineage("datasets/elsewhere", manifest=replace(stored, size_bytes=1))
    version = await world.register(lineage=lineage)
    assert version.content.lineage.manifest == stored


async def test_the_same_request_registers_once(world: World) -> None:
    first = await world.register(seed=5, request_id="r")
    assert await world.register(seed=5, request_id="r") == first
    world.store.taken_once = "request/r"  # it comes twice at once
    assert await world.register(seed=5, request_id="r") == first
    assert world.actions() == ["version.register"]


async def test_a_request_id_of_another_registration_is_refused(world: World) -> None:
    await world.register(seed=5, request_id="r")
    for model, seed in (("models/n", 5), ("models/m", 6)):
        with pytest.raises(InvalidArgumentError) as caught:
            await world.register(model, seed=seed, request_id="r")
        assert caught.value.field == "request_id"
    assert world.actions() == ["version.register"]


async def test_the_same_file_is_no_second_version(world: World) -> None:
    await world.register(seed=5)
    for request_id in ("", "other"):
        with pytest.raises(AlreadyExistsError) as caught:
            await world.register(seed=5, request_id=request_id)
        assert caught.value.resource == "models/m/versions/1"
        assert caught.value.reason == "SAME_FILE"
    assert (await world.register("models/n", seed=5)).number == 1
    await world.deleting.delete_version("models/m/versions/1", "", "ann")
    assert (await world.register(seed=5)).number == 2
    with pytest.raises(AlreadyExistsError) as twice:
        await world.deleting.undelete_version("models/m/versions/1", "ann")
    assert (twice.value.resource, twice.value.reason) == ("models/m/versions/2", "SAME_FILE")
    await world.deleting.delete_version("models/m/versions/2", "", "ann")
    assert not (await world.deleting.undelete_version("models/m/versions/1", "ann")).deleted


async def test_what_two_searches_found_may_be_the_same_file(world: World) -> None:
    await world.registering.register_evaluated(network())
    await world.registering.register_evaluated(network(lineage=Lineage(evaluation="evaluations/f")))
    await world.deleting.delete_version("models/m/versions/1", "", "ann")
    assert not (await world.deleting.undelete_version("models/m/versions/1", "ann")).deleted


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metrics": {"": 1.0}}, "model_version.metrics"),
        ({"metrics": {f"m{i}": 1.0 for i in range(201)}}, "model_version.metrics"),
        ({"metrics": {"psnr": math.nan}}, "model_version.metrics.psnr"),
        ({"lineage": Lineage(dataset="d")}, "model_version.lineage.dataset"),
        ({"lineage": Lineage(search="s")}, "model_version.lineage.search"),
        ({"lineage": Lineage(trial="t")}, "model_version.lineage.trial"),
        ({"lineage": Lineage(evaluation="e")}, "model_version.lineage.evaluation"),
        ({"cost": Cost(macs_per_pixel=math.nan)}, "model_version.cost.macs_per_pixel"),
        ({"cost": Cost(parameters=-1)}, "model_version.cost.parameters"),
        ({"cost": Cost(seconds_per_megapixel=math.inf)}, "model_version.cost.seconds_per_megapixel"),
        ({"sensor": Sensor(builtin="x" * 129)}, "model_version.sensor.builtin"),
        ({"sensor": Sensor(builtin="a\0b")}, "model_version.sensor.builtin"),
        ({"sensor": Sensor(toml="x" * 70_000)}, "model_version.sensor.toml"),
        (
            {"lineage": Lineage(prototype=Prototype(builtin="a\nb"))},
            "model_version.lineage.prototype.builtin",
        ),
        ({"onnx": replace(artifact(1), media_type="a\nb")}, "model_version.onnx.media_type"),
        ({"spec": "{"}, "model_version.spec"),
        ({"spec": "x" * 70_000}, "model_version.spec"),
        ({"onnx": replace(artifact(1), size_bytes=5)}, "model_version.onnx.size_bytes"),
    ],
)
async def test_bad_content_names_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await world.registering.register("models/m", NewVersion(content(**changes)), "", "ann")
    assert caught.value.field == field
    assert world.store.models == {}


async def test_other_bad_registrations_name_the_field(world: World) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await world.register("searches/m")
    assert caught.value.field == "parent"
    with pytest.raises(InvalidArgumentError) as caught:
        await world.registering.register("models/m", NewVersion(content()), "\n", "ann")
    assert caught.value.field == "request_id"
    with pytest.raises(NotFoundError) as missing:
        await world.registering.register("models/m", NewVersion(content(onnx=artifact(2))), "", "ann")
    assert missing.value.metadata["field"] == "model_version.onnx"


async def test_aliases_move(world: World) -> None:
    for _ in range(2):
        await world.register("models/m")
    world.store.sent.clear()
    first = await world.aliases.set_alias("models/m", "phone", 2, "", "ann")
    assert first.aliases == {"phone": 2}
    second = await world.aliases.set_alias("models/m", "phone", 1, first.etag, "ann")
    assert (await world.models.get_version("models/m/versions/phone")).number == 1
    with pytest.raises(AbortedError):
        await world.aliases.set_alias("models/m", "phone", 2, first.etag, "ann")
    assert await world.aliases.set_alias("models/m", "phone", 1, second.etag, "ann") == second
    assert [m.number for m in world.store.sent if isinstance(m, VersionPromoted)] == [2, 1]


async def test_aliases_are_so_many(world: World) -> None:
    await world.filled(1)
    for number in range(MAX_ALIASES):
        await world.aliases.set_alias("models/m", f"a{number}", 1, "", "ann")
    with pytest.raises(FailedPreconditionError) as caught:
        await world.aliases.set_alias("models/m", "one-more", 1, "", "ann")
    assert (caught.value.reason, caught.value.metadata["field"]) == ("TOO_MANY_ALIASES", "alias")
    with pytest.raises(FailedPreconditionError, match="aliases"):
        await world.promotion.promote(Promote("models/m/versions/1"), "ann")
    # What the registry does by itself goes on.
    await world.registering.register_evaluated(network())
    assert (await world.models.get_model("models/m")).aliases["champion"] == 2
    await world.aliases.set_alias("models/m", "a0", 2, "", "ann")


async def test_the_newest_evidence_is_kept(world: World) -> None:
    await world.filled(1)
    for number in range(MAX_EVIDENCE + 2):
        judged_version = JudgedVersion("models/m/versions/1", "mine")
        await world.judgements.add(judged_version, f"evaluations/e{number}", artifact(1))
    kept = (await world.models.get_version("models/m/versions/1")).evidence
    assert (len(kept), kept[0].evaluation) == (MAX_EVIDENCE, "evaluations/e2")


@pytest.mark.parametrize(
    ("model", "alias", "number", "kind", "field"),
    [
        ("m", "a", 1, InvalidArgumentError, "model"),
        ("models/m", "latest", 1, InvalidArgumentError, "alias"),
        ("models/m", "7", 1, InvalidArgumentError, "alias"),
        ("models/m", "", 1, InvalidArgumentError, "alias"),
        ("models/m", "a", 0, NotFoundError, "version"),
        ("models/m", "a", 2, NotFoundError, "version"),
        ("models/n", "a", 1, NotFoundError, "model"),
    ],
)
async def test_bad_aliases_name_the_field(
    world: World, model: str, alias: str, number: int, kind: type[InvalidArgumentError], field: str
) -> None:
    await world.register("models/m")
    with pytest.raises(kind) as caught:
        await world.aliases.set_alias(model, alias, number, "", "ann")
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize(
    ("asked", "number"),
    [("1", 1), ("2", 2), ("latest", 2), ("best", 1), ("3", None), ("0", None), ("01", None), ("none", None)],
)
def test_resolution(asked: str, number: int | None) -> None:
    model = Model("models/m", "m", NOW, NOW, latest_version=2, last_number=2, aliases={"best": 1})
    assert model.resolve(asked) == number


def test_nothing_resolves_without_versions() -> None:
    assert Model("models/m", "m", NOW, NOW).resolve("latest") is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("models/m/versions/9", NotFoundError),
        ("models/n/versions/1", NotFoundError),
        ("models/m", InvalidArgumentError),
    ],
)
async def test_get_version_of_what_is_not_there(world: World, name: str, kind: type[Exception]) -> None:
    await world.register("models/m")
    with pytest.raises(kind):
        await world.models.get_version(name)


def test_version_names() -> None:
    assert ModelVersion("models/m", 12, content(), NOW).name == "models/m/versions/12"
    assert network(limits=Limits()).limits.macs_per_pixel is None

"""Promotion by evidence, rollback, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from autoisp_core.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from autoisp_core.quality import GateCheck, GateReport
from autoisp_registry.domain import Model
from autoisp_registry.ports import JudgedEvaluation
from autoisp_registry.usecases import JudgedVersion, Promote, Rollback, Wanted
from registry_fakes import World, artifact, judged, measured, network

GATE = '[[check]]\nmetric = "psnr"\nat_least = 30.0\n'
AGAINST = '[[check]]\nmetric = "psnr"\nbetter_than_baseline_by = 1.0\n'


@pytest.fixture
async def world() -> World:
    """A model with versions 1 to 3; the evaluations e1 to e3 gave them 31, 32 and 29 dB."""
    world = World()
    await world.filled(3)
    for number, psnr in enumerate((31.0, 32.0, 29.0), 1):
        record = artifact(900 + number)
        world.records.judged[record.sha256] = judged(psnr)
        await world.judgements.add(
            JudgedVersion(f"models/m/versions/{number}", "mine"), f"evaluations/e{number}", record
        )
    world.store.entries.clear()
    world.store.sent.clear()
    return world


async def promote(world: World, number: int, **more: Any) -> Model:
    wanted = Promote(f"models/m/versions/{number}", **{"gate": GATE, **more})
    return (await world.promotion.promote(wanted, "ann")).model


async def roll_back(world: World, **more: Any) -> Model:
    return (await world.rolling_back.roll_back(Rollback("models/m", **more), "ann"))[0]


async def test_a_version_that_passes_becomes_champion_with_its_evidence(world: World) -> None:
    promoted = await world.promotion.promote(Promote("models/m/versions/1", gate=GATE, comment="go"), "ann")
    assert promoted.model.aliases == {"champion": 1}
    assert promoted.gate.passed
    assert promoted.gate.checks == ("psnr: passed, 31.00 dB >= 30.00 dB", "clips_judged: passed, 1 of 1")
    assert promoted.entry is not None
    draft = promoted.entry.draft
    assert (draft.actor, draft.action, draft.resource) == ("ann", "version.promote", "models/m/versions/1")
    assert (draft.evaluation, draft.evidence_sha256) == ("evaluations/e1", artifact(901).sha256)
    assert (draft.checks, draft.comment) == (promoted.gate.checks, "go")
    assert draft.details == {"alias": "champion", "from": "", "to": "1", "gate": "passed"}


async def test_a_version_that_fails_is_refused_and_the_log_says_so(world: World) -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        await promote(world, 3)
    assert caught.value.reason == "GATE_FAILED"
    assert "psnr: failed, 29.00 dB < 30.00 dB" in caught.value.message
    assert "psnr: failed" in caught.value.metadata["checks"]
    assert world.actions() == ["(version.promote)"]
    assert world.store.entries[0].draft.evaluation == "evaluations/e3"
    assert world.store.models["models/m"].aliases == {}


async def test_an_override_needs_a_comment_and_is_told(world: World) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await promote(world, 3, override=True, comment=" ")
    assert caught.value.field == "comment"
    model = await promote(world, 3, override=True, comment="the night clips are wrong")
    assert model.aliases == {"champion": 3}
    assert world.store.entries[-1].draft.details["override"] == "GATE_FAILED"
    assert not world.store.entries[-1].draft.refused


async def test_validating_changes_nothing(world: World) -> None:
    for number, passed in ((1, True), (3, False)):
        wanted = Promote(f"models/m/versions/{number}", gate=GATE, validate_only=True)
        said = await world.promotion.promote(wanted, "ann")
        assert (said.gate.passed, said.entry) == (passed, None)
    assert (world.actions(), world.store.sent) == ([], [])


async def test_the_models_gate_counts_where_none_is_given(world: World) -> None:
    await world.editing.update_model(Wanted("models/m", promotion_gate=AGAINST), ["promotion_gate"], "ann")
    assert (await promote(world, 3, gate="")).aliases == {"champion": 3}
    stricter = AGAINST.replace("1.0", "7.0")
    await world.editing.update_model(Wanted("models/m", promotion_gate=stricter), ["promotion_gate"], "ann")
    with pytest.raises(FailedPreconditionError, match="psnr against prototype"):
        await promote(world, 1, gate="")
    of_itself = f'baseline = "mine"\n{AGAINST}'
    await world.editing.update_model(Wanted("models/m", promotion_gate=of_itself), ["promotion_gate"], "ann")
    with pytest.raises(FailedPreconditionError, match="with itself"):
        await promote(world, 1, gate="")


async def test_without_any_gate_the_evaluations_own_decides(world: World) -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        await promote(world, 1, gate="")
    assert caught.value.reason == "NO_GATE"
    report = GateReport.of([GateCheck(True, "ssim: passed, 0.9 >= 0.8")])
    world.records.judged[artifact(901).sha256] = judged(31.0, report=report)
    assert (await promote(world, 1, gate="")).aliases == {"champion": 1}
    # A gate that judged another subject says nothing of this one.
    world.records.judged[artifact(902).sha256] = replace(judged(31.0, report=report), gate_subject="other")
    with pytest.raises(FailedPreconditionError):
        await promote(world, 2, gate="")


async def test_without_evidence_the_message_says_what_to_run(world: World) -> None:
    await world.register(seed=300)
    with pytest.raises(FailedPreconditionError) as caught:
        await promote(world, 4)
    assert caught.value.reason == "NO_EVIDENCE"
    assert "autoisp evaluations run" in caught.value.message
    assert world.actions() == ["version.register", "(version.promote)"]
    with pytest.raises(NotFoundError) as missing:
        await promote(world, 1, evaluation="evaluations/e2")
    assert missing.value.metadata["field"] == "evaluation"


async def test_what_a_search_found_is_promoted_by_its_own_gate() -> None:
    world = World()
    await world.registering.register_evaluated(network(record=artifact(50)))
    worse = replace(network().lineage, evaluation="evaluations/f")
    await world.registering.register_evaluated(
        network(lineage=worse, onnx=artifact(1), measured=measured(20.0), record=artifact(51))
    )
    with pytest.raises(FailedPreconditionError) as caught:
        await promote(world, 2, gate="")
    assert caught.value.reason == "GATE_FAILED"
    assert (await promote(world, 1, gate="", alias="night")).aliases["night"] == 1


async def test_a_later_evaluation_without_a_gate_does_not_stand_in_for_the_first() -> None:
    world = World()
    await world.registering.register_evaluated(network(record=artifact(50)))
    record = artifact(51)
    world.records.judged[record.sha256] = judged(31.0)
    await world.judgements.add(JudgedVersion("models/m/versions/1", "mine"), "evaluations/later", record)
    wanted = Promote("models/m/versions/1", alias="night")
    promoted = await world.promotion.promote(wanted, "ann")
    assert promoted.entry is not None
    draft = promoted.entry.draft
    assert (draft.evaluation, draft.evidence_sha256) == ("evaluations/e", artifact(50).sha256)
    with pytest.raises(FailedPreconditionError) as caught:
        await world.promotion.promote(replace(wanted, evaluation="evaluations/later"), "ann")
    assert caught.value.reason == "NO_GATE"


async def test_what_a_search_found_before_evidence_was_kept_goes_by_what_its_gate_said() -> None:
    world = World()
    await world.registering.register_evaluated(network())
    assert (await promote(world, 1, gate="", alias="night")).aliases["night"] == 1
    draft = world.store.entries[-1].draft
    assert (draft.evaluation, draft.evidence_sha256) == ("evaluations/e", "")
    with pytest.raises(FailedPreconditionError) as caught:
        await promote(world, 1, alias="day")
    assert caught.value.reason == "NO_EVIDENCE"


async def test_of_two_at_once_one_is_aborted(world: World) -> None:
    class Slow(type(world.records)):  # type: ignore[misc]
        async def read(self, record: Any) -> JudgedEvaluation:
            found = await super().read(record)
            if record == artifact(901):  # while this one is read, the other one is done
                await promote(world, 2)
            return found

    slow = Slow(world.records.judged)
    world.promotion._judging._records = slow
    seen = await world.models.get_model("models/m")
    with pytest.raises(AbortedError) as caught:
        await promote(world, 1)
    assert caught.value.reason == "MODEL_CHANGED"
    assert world.store.models["models/m"].aliases == {"champion": 2}
    with pytest.raises(AbortedError) as stale:
        await promote(world, 2, etag=seen.etag)
    assert stale.value.reason == "ETAG_MISMATCH"


async def test_the_same_request_promotes_once(world: World) -> None:
    wanted = Promote("models/m/versions/1", gate=GATE, request_id="r")
    first = await world.promotion.promote(wanted, "ann")
    await promote(world, 2)
    again = await world.promotion.promote(wanted, "ann")
    assert (again.entry, again.gate) == (first.entry, first.gate)
    assert again.model.aliases == {"champion": 2}
    with pytest.raises(InvalidArgumentError) as caught:
        await world.promotion.promote(replace(wanted, alias="night"), "ann")
    assert caught.value.field == "request_id"
    with pytest.raises(InvalidArgumentError) as caught:
        await world.promotion.promote(replace(wanted, name="models/m/versions/2"), "ann")
    assert caught.value.field == "request_id"
    # What an alias means now, it need not have meant then.
    again = await world.promotion.promote(replace(wanted, name="models/m/versions/latest"), "ann")
    assert again.entry == first.entry


async def test_a_refused_request_may_be_made_again(world: World) -> None:
    with pytest.raises(FailedPreconditionError):
        await promote(world, 3, request_id="r")
    model = await promote(world, 3, gate=GATE.replace("30", "20"), request_id="r")
    assert model.aliases == {"champion": 3}


async def test_rollback_goes_back_step_by_step(world: World) -> None:
    for number in (1, 2):
        await promote(world, number)
    await promote(world, 3, override=True, comment="why not")
    assert [(await roll_back(world)).aliases["champion"] for _ in range(2)] == [2, 1]
    with pytest.raises(FailedPreconditionError) as caught:
        await roll_back(world)
    assert caught.value.reason == "NO_EARLIER_VERSION"
    assert world.actions()[-3:] == ["version.rollback", "version.rollback", "(version.rollback)"]
    assert world.store.entries[-2].draft.details == {"alias": "champion", "from": "2", "to": "1"}


async def test_rollback_passes_over_what_was_deleted(world: World) -> None:
    for number in (1, 2):
        await promote(world, number)
    await promote(world, 3, override=True, comment="why not")
    await world.deleting.delete_version("models/m/versions/2", "", "ann")
    assert (await roll_back(world)).aliases["champion"] == 1


async def test_the_same_request_rolls_back_once(world: World) -> None:
    for number in (1, 2, 1):
        await promote(world, number)
    first = await world.rolling_back.roll_back(Rollback("models/m", request_id="r"), "ann")
    again = await world.rolling_back.roll_back(Rollback("models/m", request_id="r"), "ann")
    assert again == first
    assert first[0].aliases["champion"] == 2


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"name": "models/m"}, InvalidArgumentError, "name"),
        ({"name": "models/none/versions/1"}, NotFoundError, "name"),
        ({"name": "models/m/versions/9"}, NotFoundError, "name"),
        ({"alias": "latest"}, InvalidArgumentError, "alias"),
        ({"alias": "7"}, InvalidArgumentError, "alias"),
        ({"gate": "nonsense"}, InvalidArgumentError, "gate"),
        ({"gate": f'baseline = "mine"\n{AGAINST}'}, InvalidArgumentError, "gate"),
        ({"gate": f'baseline = "none"\n{AGAINST}'}, InvalidArgumentError, "gate"),
        ({"evaluation": "e"}, InvalidArgumentError, "evaluation"),
        ({"comment": "x" * 1001}, InvalidArgumentError, "comment"),
        ({"request_id": "\t"}, InvalidArgumentError, "request_id"),
    ],
)
async def test_bad_promotions_name_the_field(
    world: World, changes: dict[str, Any], kind: type[InvalidArgumentError], field: str
) -> None:
    with pytest.raises(kind) as caught:
        await world.promotion.promote(
            Promote(**{"name": "models/m/versions/1", "gate": GATE, **changes}), "ann"
        )
    assert caught.value.metadata["field"] == field
    assert world.actions() == []


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"model": "m"}, InvalidArgumentError, "model"),
        ({"model": "models/none"}, NotFoundError, "model"),
        ({"alias": "latest"}, InvalidArgumentError, "alias"),
        ({"comment": "x" * 1001}, InvalidArgumentError, "comment"),
        ({"etag": '"0"'}, AbortedError, "etag"),
    ],
)
async def test_bad_rollbacks_name_the_field(
    world: World, changes: dict[str, Any], kind: type[InvalidArgumentError], field: str
) -> None:
    with pytest.raises(kind) as caught:
        await world.rolling_back.roll_back(Rollback(**{"model": "models/m", **changes}), "ann")
    assert caught.value.metadata["field"] == field

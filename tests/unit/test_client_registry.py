"""What both clients send to the registry that delivers, and how they go on after a break."""

from __future__ import annotations

import asyncio
import getpass
import inspect
from unittest import mock

import pytest
from autoisp.registry.v1 import registry_pb2, rollouts_pb2
from autoisp_client import AsyncClient, Client
from autoisp_client.acting import actor_metadata, system_user
from autoisp_core import actor
from autoisp_core.errors import AbortedError, FailedPreconditionError, InvalidArgumentError, UnavailableError
from autoisp_runtime.actor import UNKNOWN, actor_of
from registry_server import serving

CHANNEL = "products/p/channels/stable"
AWAY = UnavailableError("restarting")
MODEL, VERSION = registry_pb2.Model(name="models/m"), registry_pb2.ModelVersion(name="models/m/versions/1")
STATE = rollouts_pb2.Channel(name=CHANNEL)

UNARY = [
    ("GetModel", MODEL, lambda c: c.get_model("models/m")),
    ("UpdateModel", MODEL, lambda c: c.update_model("models/m", description="d", tags={"a": "1", "b": None})),
    ("DeleteModel", MODEL, lambda c: c.delete_model("models/m", etag="e")),
    ("UndeleteModel", MODEL, lambda c: c.undelete_model("models/m")),
    ("RegisterModelVersion", VERSION, lambda c: c.register_model_version("models/m", VERSION)),
    ("GetModelVersion", VERSION, lambda c: c.get_model_version(VERSION.name)),
    ("UpdateModelVersion", VERSION, lambda c: c.update_model_version(VERSION.name, tags={"a": "1"})),
    ("DeleteModelVersion", VERSION, lambda c: c.delete_model_version(VERSION.name, etag="e")),
    ("UndeleteModelVersion", VERSION, lambda c: c.undelete_model_version(VERSION.name)),
    ("ConvertModelVersion", VERSION, lambda c: c.convert_model_version(VERSION.name, formats=["onnx-int8"])),
    ("SetAlias", MODEL, lambda c: c.set_alias("models/m", "night", 2, etag="e")),
    ("DeleteAlias", MODEL, lambda c: c.delete_alias("models/m", "night", etag="e")),
    (
        "Promote",
        registry_pb2.PromoteResponse(model=MODEL),
        lambda c: c.promote(VERSION.name, alias="a", gate="g", evaluation="evaluations/e", comment="why"),
    ),
    (
        "Rollback",
        registry_pb2.RollbackResponse(model=MODEL),
        lambda c: c.rollback("models/m", alias="a", comment="why"),
    ),
    ("VerifyAuditLog", registry_pb2.VerifyAuditLogResponse(intact=True), lambda c: c.verify_audit_log()),
    ("GetLineage", registry_pb2.LineageGraph(), lambda c: c.get_lineage(VERSION.name)),
    ("GetModelCard", registry_pb2.ModelCard(markdown="# m"), lambda c: c.get_model_card(VERSION.name)),
    ("CreateChannel", STATE, lambda c: c.create_channel(STATE)),
    ("GetChannel", STATE, lambda c: c.get_channel(CHANNEL)),
    (
        "StartRollout",
        STATE,
        lambda c: c.start_rollout(CHANNEL, rollouts_pb2.Rollout(version=2, percent=1), comment="why"),
    ),
    ("UpdateRollout", STATE, lambda c: c.update_rollout(CHANNEL, percent=0, testers=["d"])),
    ("PauseRollout", STATE, lambda c: c.pause_rollout(CHANNEL, comment="why")),
    ("ResumeRollout", STATE, lambda c: c.resume_rollout(CHANNEL, reset_outcomes=True)),
    ("CompleteRollout", STATE, lambda c: c.complete_rollout(CHANNEL)),
    ("AbortRollout", STATE, lambda c: c.abort_rollout(CHANNEL)),
    ("RollbackChannel", STATE, lambda c: c.rollback_channel(CHANNEL, etag="e")),
    (
        "ResolveModel",
        rollouts_pb2.ResolveModelResponse(model_version=VERSION.name),
        lambda c: c.resolve_model(CHANNEL, "d", device_profile="phone-npu-10", formats=["onnx-int8"]),
    ),
]


@pytest.mark.parametrize(("method", "answer", "call"), UNARY, ids=[case[0] for case in UNARY])
def test_both_clients_send_the_same(method, answer, call):
    with serving(**{method: answer}) as server:
        with Client(server.address, actor="Zoë") as client:
            assert call(client) == answer

        async def again():
            async with AsyncClient(server.address, actor="Zoë") as client:
                return await call(client)

        assert asyncio.run(again()) == answer
    first, second = server.calls
    assert first.metadata["autoisp-actor"] == second.metadata["autoisp-actor"] == "Zo%C3%AB"
    if "request_id" in first.request.DESCRIPTOR.fields_by_name:
        assert first.request.request_id != second.request.request_id
        assert first.request.request_id
        second.request.request_id = first.request.request_id
    assert first.request == second.request


def test_both_clients_have_the_same_parameters():
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        twin = inspect.signature(getattr(AsyncClient, name.replace("__enter__", "__aenter__"), method))
        ours = inspect.signature(method)
        assert [(p.name, p.default) for p in twin.parameters.values()] == [
            (p.name, p.default) for p in ours.parameters.values()
        ], name


def test_what_changes_is_in_the_mask_and_nothing_is_no_change():
    with serving(UpdateModel=MODEL, UpdateModelVersion=VERSION) as server, Client(server.address) as client:
        client.update_model(
            "models/m", display_name="", tags={"a": "1", "b": None}, promotion_gate="g", etag="e"
        )
        client.update_model_version(VERSION.name, description="")
        with pytest.raises(InvalidArgumentError, match="nothing"):
            client.update_model("models/m")
    model, version = (call.request for call in server.calls)
    assert list(model.update_mask.paths) == ["display_name", "promotion_gate", "tags.a", "tags.b"]
    assert dict(model.model.tags) == {"a": "1"}
    assert (model.model.etag, model.model.promotion_gate) == ("e", "g")
    assert list(version.update_mask.paths) == ["description"]


def test_lists_carry_filter_and_order_over_all_pages():
    def page(request):
        more = "" if request.page_token else "2"
        return registry_pb2.ListModelVersionsResponse(model_versions=[VERSION], next_page_token=more)

    entries = registry_pb2.ListAuditEntriesResponse(audit_entries=[registry_pb2.AuditEntry(sequence=1)])
    channels = rollouts_pb2.ListChannelsResponse(channels=[STATE])
    with (
        serving(ListModelVersions=page, ListAuditEntries=entries, ListChannels=channels) as server,
        Client(server.address) as client,
    ):
        found = list(client.list_model_versions(filter="metrics.psnr > 30", order_by="create_time desc"))
        assert [version.name for version in found] == [VERSION.name] * 2
        assert [entry.sequence for entry in client.list_audit_entries(newest_first=True)] == [1]
        assert [channel.name for channel in client.list_channels()] == [CHANNEL]
    for request in server.requests("ListModelVersions"):
        assert (request.parent, request.filter, request.order_by) == (
            *("models/-", "metrics.psnr > 30", "create_time desc"),
        )
    assert server.requests("ListAuditEntries")[0].descending
    assert server.requests("ListChannels")[0].parent == "products/-"


def test_a_promotion_is_repeated_with_its_request_id():
    answers = [AWAY, AWAY, registry_pb2.PromoteResponse(model=MODEL)]
    with serving(Promote=answers) as server, Client(server.address) as client:
        assert client.promote(VERSION.name, etag="e").model == MODEL
    ids = {request.request_id for request in server.requests("Promote")}
    assert len(server.calls) == 3
    assert len(ids) == 1


def test_an_etag_without_a_request_id_is_sent_once():
    with serving(SetAlias=AWAY, DeleteModel=AWAY) as server, Client(server.address, patience=1) as client:
        for call in (client.set_alias, client.delete_model):
            with pytest.raises(UnavailableError):
                call("models/m", *(("a", 1) if call == client.set_alias else ()), etag="e")
    assert len(server.calls) == 2


def test_refusals_come_as_they_were_raised():
    refused = FailedPreconditionError("gate failed: psnr", reason="GATE_FAILED", metadata={"checks": "psnr"})
    raced = AbortedError("the model changed", reason="MODEL_CHANGED")
    with serving(Promote=refused, Rollback=raced) as server, Client(server.address) as client:
        with pytest.raises(FailedPreconditionError) as caught:
            client.promote(VERSION.name)
        assert (caught.value.reason, caught.value.metadata["checks"]) == ("GATE_FAILED", "psnr")
        with pytest.raises(AbortedError, match="changed"):
            client.rollback("models/m")


def test_devices_ask_one_by_one_or_many_at_once():
    answers = rollouts_pb2.BatchResolveModelsResponse()
    answers.results.add().response.model_version = VERSION.name
    answers.results.add().failure.reason = "NOT_FOUND"
    again = rollouts_pb2.ReportOutcomeResponse(resolve_again=True)
    deleted = rollouts_pb2.DeleteChannelResponse()
    with (
        serving(BatchResolveModels=answers, ReportOutcome=again, DeleteChannel=deleted) as server,
        Client(server.address) as client,
    ):
        requests = [rollouts_pb2.ResolveModelRequest(channel=CHANNEL, device_id=name) for name in "ab"]
        results = client.batch_resolve_models(requests)
        assert [result.WhichOneof("outcome") for result in results] == ["response", "failure"]
        assert client.report_outcome(CHANNEL, "r", "d", failed=True, reason="LOAD_FAILED")
        client.delete_channel(CHANNEL, etag="e")
    assert list(server.requests("BatchResolveModels")[0].requests) == requests
    assert server.requests("ReportOutcome")[0].reason == "LOAD_FAILED"


def synced(sequence):
    return registry_pb2.WatchModelsResponse(synced_sequence=sequence)


def change(sequence):
    entry = registry_pb2.AuditEntry(sequence=sequence)
    return registry_pb2.WatchModelsResponse(change=registry_pb2.WatchModelsResponse.Change(entry=entry))


SNAPSHOT = registry_pb2.WatchModelsResponse(model=MODEL)
BREAKS = [
    [SNAPSHOT, AWAY],  # before the snapshot is complete
    [SNAPSHOT, synced(7), change(8), AWAY],
    AWAY,
    [synced(8), change(8), change(9)],  # goes away without a word; tells one again
    [change(10)],
]
WATCHED = ["model", "model", "synced_sequence", "change", "change", "change"]


def breaks():
    return [answer if isinstance(answer, list) else [answer] for answer in BREAKS]


def check_watched(server, messages):
    assert [message.WhichOneof("payload") for message in messages] == WATCHED
    assert [m.change.entry.sequence for m in messages if m.HasField("change")] == [8, 9, 10]
    assert [request.after_sequence for request in server.requests("WatchModels")] == [0, 0, 8, 8, 9]
    assert {request.model for request in server.requests("WatchModels")} == {"models/m"}


def test_a_watch_goes_on_after_the_last_change():
    with serving(WatchModels=breaks()) as server, Client(server.address) as client:
        watch = client.watch_models("models/m")
        check_watched(server, [next(watch) for _ in WATCHED])


async def test_a_watch_goes_on_after_the_last_change_in_asyncio():
    with serving(WatchModels=breaks()) as server:
        async with AsyncClient(server.address) as client:
            watch = client.watch_models("models/m")
            check_watched(server, [await anext(watch) for _ in WATCHED])


def test_a_watch_that_nobody_answers_ends():
    with serving() as server:
        pass
    with Client(server.address, patience=0) as client, pytest.raises(UnavailableError):
        next(client.watch_models(after_sequence=3))


class Context:
    """Of a call with metadata."""

    def __init__(self, *metadata):
        self.metadata = metadata

    def invocation_metadata(self):
        return self.metadata


@pytest.mark.parametrize(
    "name", ["root", "Zoë Müller", "50% sure", "a%41", "李", "ci (nightly) ~!", "x" * 128]
)
def test_who_the_client_says_is_who_the_service_reads(name):
    metadata = actor_metadata(name)
    assert metadata[0][1].isascii()
    assert actor_of(Context(("other", "x"), *metadata)) == name


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "bell\x07", "x" * 129, "\u202eevil"])
def test_nobody_can_act_under_such_a_name(name):
    with pytest.raises(InvalidArgumentError, match="names nobody") as caught:
        Client("127.0.0.1:9", actor=name)
    assert caught.value.field == "actor"


@pytest.mark.parametrize("value", ["", "%0Aroot", "%FF", "%E2%80%AEevil"])
def test_what_can_not_be_shown_is_unknown(value):
    assert actor_of(Context((actor.METADATA, value))) == UNKNOWN
    assert actor_of(Context()) == UNKNOWN


def test_a_long_name_is_cut():
    assert actor_of(Context((actor.METADATA, "x" * 300))) == "x" * actor.MAX_CHARS


def test_nobody_passes_for_the_registry() -> None:
    assert actor_of(Context((actor.METADATA, "registry"))) == "registry (a caller)"


def test_by_default_the_systems_user_acts():
    assert actor_metadata(None) == ((actor.METADATA, actor.encoded(system_user())),)


@pytest.mark.parametrize("trouble", [KeyError("uid"), OSError("no user")])
def test_a_container_without_users_has_its_number(trouble):
    with mock.patch.object(getpass, "getuser", side_effect=trouble):
        assert system_user().startswith("uid ")

"""``autoisp models``, against a real server with answers of its own."""

from __future__ import annotations

import hashlib
import json

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.registry.v1 import registry_pb2 as wire
from autoisp_cli.__main__ import main
from autoisp_cli.registry import card, pairs, short_names
from autoisp_cli.registry.version_view import version_rows
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from delivered import CARD, CHECKS, REFUSED, SHA, entry, lineage, log, model, version
from registry_server import serving

GATE_FAILED = FailedPreconditionError("the gate failed", reason="GATE_FAILED")
NO_EVIDENCE = FailedPreconditionError("judge it first: autoisp evaluations run …", reason="NO_EVIDENCE")


def number_in(name):
    return {"champion": 3, "latest": 4}.get(tail := name.rsplit("/", 1)[-1]) or int(tail)


def promote(request):
    number = number_in(request.name)
    passed = number == 3
    gate = wire.GateResult(passed=passed, checks=CHECKS if passed else REFUSED)
    if not passed and not (request.validate_only or request.override):
        return GATE_FAILED
    done = None if request.validate_only else entry(22, "version.promote", "done")
    return wire.PromoteResponse(model=model(), gate=gate, audit_entry=done)


@pytest.fixture
def server():
    with serving(
        GetModel=model(),
        GetModelVersion=lambda request: version(number_in(request.name)),
        ListModels=wire.ListModelsResponse(models=[model()]),
        ListModelVersions=wire.ListModelVersionsResponse(model_versions=[version(3), version(4)]),
        UpdateModel=lambda request: request.model,
        UpdateModelVersion=lambda request: request.model_version,
        DeleteModel=model(),
        DeleteModelVersion=version(2),
        UndeleteModel=model(),
        UndeleteModelVersion=version(2),
        ConvertModelVersion=version(3, conversion_state=wire.CONVERSION_STATE_RUNNING),
        SetAlias=model(),
        DeleteAlias=model(),
        Promote=promote,
        Rollback=wire.RollbackResponse(model=model(), audit_entry=entry(23, "version.rollback", "")),
        ListAuditEntries=wire.ListAuditEntriesResponse(audit_entries=log()),
        VerifyAuditLog=wire.VerifyAuditLogResponse(intact=True, entries=21, head_sha256=SHA),
        GetModelCard=wire.ModelCard(name="models/night/versions/3", markdown=CARD),
        GetLineage=lineage(),
        ListSigningKeys=wire.ListSigningKeysResponse(
            keys=[wire.SigningKey(key_id="0011", public_key="-----BEGIN PUBLIC KEY-----", active=True)]
        ),
    ) as server:
        yield server


@pytest.fixture
def run(server, capsys):
    def run(*words, code=0):
        assert main(["models", *map(str, words), "--server", server.address]) == code
        return capsys.readouterr()

    return run


def last(server, method):
    return server.requests(method)[-1]


def test_list_filters_and_orders(run, server):
    shown = run("list", "--filter", 'tags.sensor = "phone"', "--order-by", "name desc", "--deleted").out
    assert "models/night" in shown
    assert "candidate=4, champion=3" in shown
    assert "sensor=phone, site=lab" in shown
    asked = last(server, "ListModels")
    assert (asked.filter, asked.order_by, asked.show_deleted) == ('tags.sensor = "phone"', "name desc", True)
    assert json.loads(run("list", "--json").out)[0]["name"] == "models/night"


def test_versions_of_one_model_or_of_all(run, server):
    shown = run("versions", "night").out
    assert last(server, "ListModelVersions").parent == "models/night"
    assert "31.24" in shown
    assert "champion" in shown
    run("versions", "--filter", "metrics.psnr_model > 30", "--limit", "1")
    assert last(server, "ListModelVersions").parent == "models/-"


@pytest.mark.parametrize(
    "words", [("night@champion",), ("night", "champion"), ("models/night", "--version", "champion")]
)
def test_show_begins_with_the_figures(run, server, words):
    shown = run("show", *words).out
    assert server.requests("GetModelVersion")[0].name == "models/night/versions/champion"
    assert (
        shown.index("31.24 dB") < shown.index("onnx-int8") < shown.index("Denoises") < shown.index("tune-1")
    )
    for text in (
        "1/104 of the prototype's",
        "1.21 dB",
        "✓ phone-npu-10",
        "the extra 'executorch'",
        "… and 2 more",
    ):
        assert text in shown
    assert "| ---" not in shown  # rendered


def test_show_json_is_the_message(run):
    assert json.loads(run("show", "night@3", "--json").out)["name"] == "models/night/versions/3"


def test_a_refused_promotion_shows_the_checks_and_is_exit_code_1(run, server):
    shown = run("promote", "night@4", "-m", "why", code=1).out.splitlines()
    assert shown[0] == "✗ psnr: 31.24 dB < 32.00 dB"  # what failed comes first
    assert shown[1].startswith("✓ ssim")
    assert shown[-1] == "night@4 does not pass: champion stays night@3"
    first, second = server.requests("Promote")
    assert (first.validate_only, second.validate_only, first.comment) == (False, True, "why")


def test_a_promotion_says_what_it_did(run, server, tmp_path):
    gate = tmp_path / "gate.toml"
    gate.write_text('[[check]]\nmetric = "psnr"\nat_least = 30.0\n')
    shown = run("promote", "night", "champion", "--gate", gate, "--evaluation", "e", "--alias", "night").out
    assert "night@3 is night now" in shown
    asked = last(server, "Promote")
    assert (asked.name, asked.evaluation, asked.alias) == (
        *("models/night/versions/3", "evaluations/e", "night"),
    )
    assert "at_least" in asked.gate
    assert asked.request_id
    overridden = run("promote", "night@4", "--override", "-m", "seen by the lab").out
    assert "against the gate" in overridden


@pytest.mark.parametrize(("name", "code"), [("night@3", 0), ("night@4", 1)])
def test_a_dry_run_changes_nothing(run, server, name, code):
    shown = run("promote", name, "--dry-run", code=code).out
    assert ("nothing was changed" in shown) == (code == 0)
    assert all(request.validate_only for request in server.requests("Promote"))


def test_without_evidence_the_fix_is_named(run, server):
    server.answers["Promote"] = NO_EVIDENCE
    assert "autoisp evaluations run" in run("promote", "night@3", code=2).err


def test_what_is_deleted_says_what_to_type(run, server):
    name = "models/night/versions/3"
    server.answers["GetModelVersion"] = NotFoundError(name, f"{name} is deleted", reason="DELETED")
    assert "autoisp models restore night@3" in run("show", "night@3", code=2).err


def test_rollback_and_aliases(run, server):
    assert "night@3 again" in run("rollback", "night", "-m", "green faces").out
    assert last(server, "Rollback").comment == "green faces"
    for words in (("alias", "night", "dusk", "3"), ("alias", "night@champion", "dusk")):
        assert "champion=3" in run(*words).out
        assert (last(server, "SetAlias").alias, last(server, "SetAlias").version) == ("dusk", 3)
    run("unalias", "night", "dusk")
    assert last(server, "DeleteAlias").alias == "dusk"


def test_history_tells_who_what_and_on_what_evidence(run, server):
    shown = run("history", "night").out
    for text in (
        "Zoë Müller",
        "✗ refused version.promote night@4",
        "eval-71c09d3b",
        "✗ 1 of 3 checks",
        "“first",
    ):
        assert text in shown
    assert last(server, "ListAuditEntries").resource == "models/night"
    assert last(server, "ListAuditEntries").descending
    run("history", "p-series/stable")
    assert last(server, "ListAuditEntries").resource == "products/p-series/channels/stable"
    assert len(json.loads(run("history", "--json", "--limit", "2").out)) == 2


def test_a_broken_log_is_exit_code_1(run, server):
    assert "intact" in run("history", "--verify").out
    server.answers["VerifyAuditLog"] = wire.VerifyAuditLogResponse(
        entries=21, broken_sequence=7, problem="its digest is another"
    )
    assert "broken at entry 7" in run("history", "--verify", code=1).out


def test_tags_and_words_of_models_and_versions(run, server, tmp_path):
    run("tag", "night", "a=1", "--remove", "b")
    assert list(last(server, "UpdateModel").update_mask.paths) == ["tags.a", "tags.b"]
    run("tag", "night@champion", "a=1")
    assert last(server, "UpdateModelVersion").model_version.name == "models/night/versions/3"
    assert "sensor=phone" in run("tag", "night").out
    run("describe", "night", "for the lab", "--title", "Night")
    assert last(server, "UpdateModel").model.display_name == "Night"
    (tmp_path / "words").write_text("winter\n")
    run("describe", "night@3", "--file", tmp_path / "words")
    assert last(server, "UpdateModelVersion").model_version.description == "winter\n"
    (tmp_path / "gate.toml").write_text("[[check]]\n")
    run("gate", "night", tmp_path / "gate.toml")
    assert last(server, "UpdateModel").model.promotion_gate == "[[check]]\n"
    run("gate", "night", "--clear")
    assert list(last(server, "UpdateModel").update_mask.paths) == ["promotion_gate"]
    assert "none of its own" in run("gate", "night").out


def test_delete_says_how_to_restore(run, server):
    assert "autoisp models restore night@2" in run("delete", "night@2").out
    assert "autoisp models restore night" in run("delete", "night").out
    run("restore", "night@2")
    assert last(server, "UndeleteModelVersion").name == "models/night/versions/2"
    run("restore", "night")
    assert server.requests("UndeleteModel")
    run("convert", "night@champion", "--format", "onnx-int8", "--dataset", "street")
    asked = last(server, "ConvertModelVersion")
    assert (asked.name, list(asked.formats), asked.dataset) == (
        *("models/night/versions/3", ["onnx-int8"], "datasets/street"),
    )


def test_register_uploads_and_registers(run, server, tmp_path):
    path = tmp_path / "night.onnx"
    path.write_bytes(b"a network")
    digest = hashlib.sha256(b"a network").hexdigest()
    server.answers["UploadArtifact"] = common_pb2.Artifact(sha256=digest, size_bytes=9)
    server.answers["RegisterModelVersion"] = lambda request: version(5, description="d")
    words = ("--metric", "psnr_model=31.5", "--tag", "a=1", "--dataset", "street", "--description", "d")
    server.answers["GetDataset"] = ingest_pb2.Dataset(name="datasets/street")
    assert "models/night/versions/5" in run("register", "night", path, *words).out
    sent = last(server, "RegisterModelVersion")
    assert (sent.parent, sent.model_version.onnx.sha256) == ("models/night", digest)
    assert sent.model_version.metrics["psnr_model"] == 31.5
    assert (sent.model_version.lineage.dataset, sent.model_version.description) == ("datasets/street", "d")


def test_a_misspelt_dataset_registers_nothing(run, server, tmp_path):
    path = tmp_path / "night.onnx"
    path.write_bytes(b"a network")
    server.answers["GetDataset"] = NotFoundError("datasets/stret")
    told = run("register", "night", path, "--dataset", "stret", code=2).err
    assert "datasets/stret does not exist" in told
    assert told.rstrip().endswith("autoisp datasets list")
    assert not server.requests("UploadArtifact")


def test_an_empty_list_says_how_to_begin(run, server):
    server.answers["ListModels"] = wire.ListModelsResponse()
    server.answers["ListModelVersions"] = wire.ListModelVersionsResponse()
    assert "autoisp models register" in run("list").err
    assert "no version fits" in run("versions", "night", "--filter", "x").err
    assert json.loads(run("list", "--json").out) == []


def test_a_model_that_does_not_exist_names_the_list(run, server):
    server.answers["GetModelVersion"] = NotFoundError("models/nihgt")
    assert run("show", "nihgt", code=2).err.rstrip().endswith("autoisp models list")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (wire.CONVERSION_STATE_RUNNING, "a worker makes the edge formats"),
        (wire.CONVERSION_STATE_FAILED, "not made: the worker died"),
        (wire.CONVERSION_STATE_SUCCEEDED, ""),
    ],
)
def test_show_says_how_far_the_formats_are(run, server, state, text):
    found = version(3, conversion_state=state)
    if state == wire.CONVERSION_STATE_FAILED:
        found.conversion_failure.message = "the worker died"
    server.answers["GetModelVersion"] = found
    shown = run("show", "night@3").out
    assert text in shown
    assert ("a worker makes" in shown or "not made:" in shown) == bool(text)


def test_formats_that_no_worker_makes_name_the_command_that_starts_one():
    waiting = version(3, conversion_state=wire.CONVERSION_STATE_RUNNING)
    said = {
        workers: str(dict(version_rows(waiting, workers=workers))["formats"]) for workers in (True, False)
    }
    assert "look again" in said[True]
    assert "autoisp up" in said[False]


def test_card_lineage_and_keys(run, tmp_path):
    assert run("card", "night@3").out == CARD
    run("card", "night@3", "-o", tmp_path / "new" / "README.md")
    assert (tmp_path / "new" / "README.md").read_text() == CARD
    tree = run("lineage", "night@champion").out
    assert tree.index("tune-1") < tree.index("clip0.mp4")
    assert "street (see above)" in tree
    assert len(json.loads(run("lineage", "night", "--json").out)["edges"]) == 13
    assert "BEGIN PUBLIC KEY" in run("keys").out


@pytest.mark.parametrize(("json_wanted"), [True, False])
def test_watch_tells_changes_as_they_come(run, server, json_wanted):
    change = wire.WatchModelsResponse.Change(entry=entry(22, "version.promote", "champion is 3"))
    server.answers["WatchModels"] = [
        [
            wire.WatchModelsResponse(model=model()),
            wire.WatchModelsResponse(synced_sequence=21),
            wire.WatchModelsResponse(change=change),
            InvalidArgumentError("after_sequence", "stop"),
        ]
    ]
    shown = run("watch", "night", "--after", "3", *(["--json"] if json_wanted else []), code=2).out
    lines = shown.splitlines()
    assert last(server, "WatchModels").model == "models/night"
    if json_wanted:
        assert [next(iter(json.loads(line))) for line in lines] == ["model", "synced_sequence", "change"]
    else:
        assert lines[0].startswith("night  4 versions")
        assert lines[1].endswith("22  sam  version.promote night@3: champion is 3")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["show", "night@3", "4"], "leave one out"),
        (["show", "night@"], "MODEL@VERSION"),
        (["show", "a/b"], "MODEL@VERSION"),
        (["show", ""], "MODEL@VERSION"),
        (["versions", "night@3"], "without its version"),
        (["alias", "night", "dusk"], "night@3"),
        (["promote", "night@3", "--override"], "--comment"),
        (["promote", "night@3", "--gate", "none.toml"], "--gate"),
        (["register", "night", "none.onnx"], "no such file"),
        (["tag", "night", "a"], "NAME=VALUE"),
        (["tag", "night", "a=1", "--remove", "a"], "leave one out"),
        (["describe", "night"], "TEXT"),
        (["describe", "night@3", "--title", "x"], "a version has no title"),
        (["gate", "night", "g.toml", "--clear"], "--clear"),
        (["card", "night", "-o", "/dev/null/card.md"], "--out"),
        (["history", "a/b/c"], "PRODUCT/CHANNEL"),
    ],
)
def test_wrong_words_name_the_fix(run, server, words, text):
    assert text in run(*words, code=2).err
    changed = {call.method for call in server.calls} - {"GetModelVersion", "GetModelCard", "GetModel"}
    assert not changed


@pytest.mark.parametrize("metric", ["psnr", "psnr=", "psnr=x", "psnr=nan", "psnr=inf", "=3"])
def test_wrong_metrics(run, tmp_path, metric):
    (tmp_path / "n.onnx").write_bytes(b"x")
    assert "--metric" in run("register", "night", tmp_path / "n.onnx", "--metric", metric, code=2).err


def test_names_and_pairs_run_as_documented():
    import doctest

    for module in (short_names, pairs, card):
        results = doctest.testmod(module)
        assert results.attempted > 0
        assert results.failed == 0

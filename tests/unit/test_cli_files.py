"""``autoisp models download``, ``release``, ``verify`` and ``export``, against a real server."""

from __future__ import annotations

import hashlib
import json

import pytest
import yaml
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2 as wire
from autoisp_cli.__main__ import main
from autoisp_client import Client
from autoisp_core.release import file_name
from autoisp_testing import graphs
from registry_server import serving
from released import FILES, KEY, manifest

ENVELOPE = KEY.sign(manifest()).to_json()
BYTES = {hashlib.sha256(data).hexdigest(): data for data in (*FILES.values(), ENVELOPE)}
SIGNED = hashlib.sha256(ENVELOPE).hexdigest()


def artifact(data):
    return common_pb2.Artifact(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def download(request):
    data = BYTES[request.sha256] if request.sha256 else FILES[request.format or "onnx-fp32"]
    return [
        wire.DownloadArtifactResponse(artifact=artifact(data)),
        wire.DownloadArtifactResponse(chunk=data[request.offset :]),
    ]


@pytest.fixture
def server():
    version = wire.ModelVersion(name="models/m/versions/3", signed_manifest=artifact(ENVELOPE))
    keys = [wire.SigningKey(key_id=KEY.public.key_id, public_key=KEY.public.pem, active=True)]
    with serving(
        GetModelVersion=version,
        ListSigningKeys=wire.ListSigningKeysResponse(keys=keys),
        DownloadArtifact=download,
    ) as server:
        yield server


@pytest.fixture
def run(server, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0, server=server):
        where = ["--server", server.address] if server else []
        assert main(["models", *map(str, words), *where]) == code
        return capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "path", "format"),
    [
        (["m@3"], "model.onnx", "onnx-fp32"),
        (["m", "champion", "-o", "new/m.onnx"], "new/m.onnx", "onnx-fp32"),
        (["m@3", "--format", "onnx-int8"], "model.int8.onnx", "onnx-int8"),
    ],
)
def test_download_writes_the_form_that_is_asked_for(run, server, tmp_path, words, path, format):
    told = run("download", *words)
    assert (tmp_path / path).read_bytes() == FILES[format]
    assert path in told.out
    assert told.err == ""  # no bar into a pipe


def test_ctrl_c_says_that_the_same_command_goes_on(run, monkeypatch):
    def interrupted(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "download", interrupted)
    told = run("download", "m@3", code=130).err
    assert told == "what has come is kept; the same command goes on\nstopped\n"


def test_a_release_is_fetched_and_verified(run, tmp_path):
    shown = run("release", "m@champion").out
    assert "✓ " + file_name("onnx-int8") in shown
    assert "models/m/versions/3 in m-3 is genuine" in shown
    run("keys", "-o", "keys")
    key = tmp_path / "keys" / f"{KEY.public.key_id}.pem"
    assert "genuine" in run("verify", "m-3", "--key", key, server=None).out
    assert json.loads(run("release", "m@3", "--key", key, "--json").out)["genuine"]
    (tmp_path / "m-3" / file_name("onnx-int8")).write_bytes(b"x")
    assert "NOT GENUINE" in run("verify", "m-3", "--key", key, server=None, code=1).out
    assert (
        json.loads(run("verify", "m-3", "--key", key, "--json", server=None, code=1).out)["genuine"] is False
    )


def test_a_release_that_another_key_signed_is_refused(run, tmp_path):
    from autoisp_core.release.ed25519 import PrivateKey

    (tmp_path / "other.pem").write_text(PrivateKey.generate().public.pem)
    assert "key" in run("release", "m@3", "--key", "other.pem", code=1).err
    assert not (tmp_path / "m-3" / "manifest.json").exists()


def test_a_version_that_is_not_signed_says_what_to_do(run, server):
    server.answers["GetModelVersion"] = wire.ModelVersion(name="models/m/versions/3")
    assert "autoisp models convert" in run("release", "m@3", code=2).err


def test_export_for_mlflow(run, monkeypatch, tmp_path):
    monkeypatch.setitem(FILES, "onnx-fp32", graphs.sized(2.0))
    assert "models/m/versions/3" in run("export", "m@3", "--mlflow", "out").out
    model = yaml.safe_load((tmp_path / "out" / "MLmodel").read_text())
    assert model["flavors"]["onnx"]["data"] == "model.onnx"
    assert "MLflow" in run("export", "m@3", "--mlflow", "out", "--format", "executorch-xnnpack", code=2).err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["release", "m@3", "-o", "a-file"], "--out"),
        (["export", "m@3", "--mlflow", "a-file/sub"], "--mlflow"),
        (["release", "m@3", "--key", "none.pem"], "none.pem"),
        (["release", "m@3", "--format", "onnx-int4"], "onnx-int4"),
    ],
)
def test_wrong_words_name_the_fix(run, tmp_path, words, text):
    (tmp_path / "a-file").write_text("x")
    assert text in run(*words, code=2).err

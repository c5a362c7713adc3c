"""The registry's keys, and what it signs."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.release import Manifest
from autoisp_core.release.ed25519 import PrivateKey, open_manifest
from autoisp_core.release.envelope import ENVELOPE_MEDIA_TYPE
from autoisp_registry.domain import EdgeFormat, Evidence, Failure, Lineage, ModelVersion
from autoisp_registry.signing import Keyring, ManifestSigner, open_keyring
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from registry_fakes import NOW, FakeArtifacts, artifact, content


def write_key(path: Path, data: bytes | None = None, mode: int = 0o600) -> Path:
    path.write_bytes(PrivateKey.generate().to_pem() if data is None else data)
    path.chmod(mode)
    return path


def open_in(folder: Path, signing_key: Path | None = None, trusted_keys: str = "") -> Keyring:
    return open_keyring(signing_key, folder / "state" / "key.pem", trusted_keys)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = open_in(tmp_path)
    path = tmp_path / "state" / "key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_in(tmp_path).active.public == first.active.public
    assert [file.name for file in path.parent.iterdir()] == ["key.pem"]
    assert PrivateKey.from_pem(path.read_bytes()).public == first.active.public
    assert first.public == (first.active.public,)


def _open(folder: str, start: object, found: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    found.put(open_in(Path(folder)).active.public.key_id)  # type: ignore[attr-defined]


def test_replicas_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork")
    for attempt in range(5):
        start, found = spawn.Event(), spawn.Queue()
        folder = tmp_path / str(attempt)
        replicas = [spawn.Process(target=_open, args=(str(folder), start, found)) for _ in range(6)]
        for replica in replicas:
            replica.start()
        start.set()
        assert len({found.get(timeout=30) for _ in replicas}) == 1
        for replica in replicas:
            replica.join()
        assert [file.name for file in (folder / "state").iterdir()] == ["key.pem"]


def test_a_given_key_is_used_and_none_is_made(tmp_path: Path) -> None:
    path = write_key(tmp_path / "mine.pem")
    assert open_in(tmp_path, path).active.public == PrivateKey.from_pem(path.read_bytes()).public
    assert not (tmp_path / "state").exists()
    path.chmod(0o440)  # as Kubernetes mounts a secret for a group
    open_in(tmp_path, path)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601])
def test_a_key_that_is_open_to_everybody_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"mode 060\d|mode 0644") as caught:
        open_in(tmp_path, write_key(tmp_path / "mine.pem", mode=mode))
    assert caught.value.field == "signing_key"
    assert "chmod 600" in caught.value.message


def _locked() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no private key"),
        (b"nonsense" * 10_000, "no private key"),
        (_locked(), "encrypted"),
        (PrivateKey.generate().public.pem.encode(), "a public key"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        open_in(tmp_path, write_key(tmp_path / "mine.pem", data))
    assert caught.value.field == "signing_key"
    assert "mine.pem" in caught.value.message


def test_a_missing_key_and_no_place_for_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"can't read .*gone\.pem: No such file"):
        open_in(tmp_path, tmp_path / "gone.pem")
    with pytest.raises(InvalidArgumentError, match=r"no file|directory"):
        open_in(tmp_path, tmp_path)
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(InvalidArgumentError, match="can't make a signing key"):
        open_in(tmp_path)


def test_earlier_keys_stay_trusted(tmp_path: Path) -> None:
    earlier = [PrivateKey.generate().public for _ in range(3)]
    (tmp_path / "keys").mkdir()
    for number, key in enumerate(earlier):
        (tmp_path / "keys" / f"{number}.pem").write_text(key.pem)
    (tmp_path / "keys" / "README").write_text("not a key")
    single = tmp_path / "single.pem"
    active = write_key(tmp_path / "mine.pem")
    single.write_text(PrivateKey.from_pem(active.read_bytes()).public.pem)
    found = open_in(tmp_path, active, f"{tmp_path / 'keys'}, {single},{tmp_path / 'keys' / '0.pem'}")
    assert found.trusted == tuple(earlier)


def test_bad_trusted_keys_name_the_setting(tmp_path: Path) -> None:
    active = write_key(tmp_path / "mine.pem")
    (tmp_path / "empty").mkdir()
    for trusted, message in (
        (tmp_path / "gone", "No such file"),
        (tmp_path / "empty", "no .*pem"),
        (active, "private key"),
    ):
        with pytest.raises(InvalidArgumentError, match=message) as caught:
            open_in(tmp_path, active, str(trusted))
        assert caught.value.field == "trusted_keys"


KEY = PrivateKey.generate()
VERSION = ModelVersion(
    "models/m",
    3,
    content(lineage=Lineage("datasets/d", manifest=artifact(7), evaluation="evaluations/first")),
    NOW,
)


async def signed(version: ModelVersion, artifacts: FakeArtifacts) -> tuple[Artifact, Manifest]:
    made = await ManifestSigner(KEY, artifacts).sign(version)
    return made, open_manifest(artifacts.data[made.sha256], [KEY.public])[0]


async def test_all_files_of_a_version_are_signed() -> None:
    artifacts = FakeArtifacts()
    first, manifest = await signed(VERSION, artifacts)
    assert first.media_type == ENVELOPE_MEDIA_TYPE
    assert [(file.format, file.sha256) for file in manifest.files] == [("onnx-fp32", artifact(1).sha256)]
    assert (manifest.name, manifest.create_time) == (VERSION.name, NOW)
    assert manifest.lineage.evaluation == "evaluations/first"
    assert manifest.lineage.dataset_manifest_sha256 == artifact(7).sha256
    assert (await signed(VERSION, artifacts))[0] == first


async def test_signing_again_keeps_what_was_there() -> None:
    artifacts = FakeArtifacts()
    int8 = EdgeFormat("onnx-int8", artifact(8, "a bad\nname"))
    failed = EdgeFormat("executorch-xnnpack", failure=Failure("NO_EXECUTORCH", "it is not installed"))
    with_int8 = VERSION.changed(formats=(EdgeFormat("onnx-fp32", artifact(1)), int8, failed))
    once, _ = await signed(with_int8, artifacts)
    with_fp16 = with_int8.changed(formats=(*with_int8.formats, EdgeFormat("onnx-fp16", artifact(9))))
    with_fp16 = with_fp16.with_evidence(Evidence("evaluations/e", "model", artifact(5), NOW))
    again, manifest = await signed(with_fp16, artifacts)
    assert again != once
    assert [file.name for file in manifest.files] == [
        "onnx-fp16.onnx",
        "onnx-fp32.onnx",
        "onnx-int8.onnx",
    ]
    assert manifest.files[2].media_type == "application/octet-stream"
    assert (manifest.lineage.evaluation, manifest.lineage.evidence_sha256) == (
        "evaluations/e",
        artifact(5).sha256,
    )
    assert json.loads(artifacts.data[once.sha256])  # the earlier one can still be read


async def test_a_format_with_tricks_in_its_name_is_not_signed() -> None:
    for name in ("../x", "Onnx", "", "a b"):
        version = replace(VERSION, formats=(EdgeFormat(name, artifact(8)),))
        with pytest.raises(InvalidArgumentError, match="format"):
            await ManifestSigner(KEY, FakeArtifacts()).sign(version)


def test_the_private_key_is_not_in_what_is_printed(tmp_path: Path) -> None:
    keyring = open_in(tmp_path)
    secret = (tmp_path / "state" / "key.pem").read_text().splitlines()[1]
    assert secret not in repr(keyring)
    assert os.fspath(tmp_path) not in repr(keyring)

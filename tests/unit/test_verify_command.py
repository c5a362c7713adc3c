"""The standalone verifier, as a process and in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from autoisp_core.release import MANIFEST_NAME, Signature
from autoisp_core.release.command import main
from autoisp_core.release.ed25519 import PrivateKey
from autoisp_core.release.envelope import MAX_ENVELOPE_BYTES
from released import KEY, manifest, write_release

FP32, INT8 = "onnx-fp32.onnx", "onnx-int8.onnx"


@pytest.fixture
def release(tmp_path: Path) -> tuple[Path, Path]:
    folder = tmp_path / "release"
    return folder, write_release(folder)


def test_it_needs_the_standard_library_and_cryptography_only(release: tuple[Path, Path]) -> None:
    folder, key = release
    code = (
        "import sys; before = set(sys.modules); from autoisp_core.release.command import main;"
        "code = main(sys.argv[1:]); print(*({m.partition('.')[0] for m in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)), file=sys.stderr); sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder), "--key", str(key)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stderr.splitlines()[-1].split())
    # The last two are what cryptography itself loads.
    assert loaded <= {"autoisp_core", "cryptography", "_cffi_backend", "_openssl"}
    assert "models/m/versions/3: genuine" in ran.stdout


def test_a_genuine_release(release: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, key = release
    other = folder.parent / "other.pem"
    other.write_text(PrivateKey.generate().public.pem)
    for arguments in (
        [str(folder), "--key", str(key)],
        [str(folder / MANIFEST_NAME), "--key", str(other), "--key", str(key)],
        [str(folder), "--key", str(key), "--expect", "models/m/versions/3", "--format", "onnx-int8"],
    ):
        assert main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[:3] == [
        f"ok      {FP32}  7000 bytes",
        f"ok      {INT8}  2500 bytes",
        f"models/m/versions/3: genuine, manifest signed by {KEY.public.key_id}",
    ]
    assert shown.err == ""


def test_json(release: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, key = release
    (folder / INT8).write_bytes(b"other")
    (folder / "notes.txt").write_text("hello")
    assert main([str(folder), "--key", str(key), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "genuine": False,
        "model_version": "models/m/versions/3",
        "key_id": KEY.public.key_id,
        "files": [
            {"name": FP32, "format": "onnx-fp32", "ok": True, "problem": ""},
            {
                "name": INT8,
                "format": "onnx-int8",
                "ok": False,
                "problem": "has 5 bytes instead of 2500",
            },
        ],
        "not_in_manifest": ["notes.txt"],
    }
    (folder / MANIFEST_NAME).write_text("{}")
    assert main([str(folder), "--key", str(key), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["genuine"] is False


def _flip(folder: Path) -> None:
    data = (folder / INT8).read_bytes()
    (folder / INT8).write_bytes(data[:-1] + b"?")


def _link(folder: Path) -> None:
    # The bytes are right, but whoever loads them later follows the link to what is there then.
    (folder / INT8).rename(folder.parent / "elsewhere")
    (folder / INT8).symlink_to(folder.parent / "elsewhere")


def _dangle(folder: Path) -> None:
    (folder / INT8).unlink()
    (folder / INT8).symlink_to("nowhere")


def _pipe(folder: Path) -> None:
    (folder / INT8).unlink()
    os.mkfifo(folder / INT8)


def _folder(folder: Path) -> None:
    (folder / INT8).unlink()
    (folder / INT8).mkdir()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (_flip, "has SHA-256"),
        (lambda folder: os.truncate(folder / INT8, 2499), "has 2499 bytes instead of 2500"),
        (lambda folder: os.truncate(folder / INT8, 0), "has 0 bytes"),
        (lambda folder: (folder / INT8).open("ab").write(b"x"), "has 2501 bytes"),
        (lambda folder: (folder / INT8).unlink(), "No such file"),
        (_link, "is a symbolic link"),
        (_dangle, "is a symbolic link"),
        (_pipe, "is no regular file"),
        (_folder, "is no regular file"),
    ],
)
def test_spoilt_files(
    release: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    problem: str,
) -> None:
    folder, key = release
    spoil(folder)
    assert main([str(folder), "--key", str(key)]) == 1
    out = capsys.readouterr().out
    assert f"ok      {FP32}" in out
    assert f"failed  {INT8}: " in out
    assert problem in out
    assert "NOT GENUINE" in out
    # What is not asked for may be missing or bad.
    assert main([str(folder), "--key", str(key), "--format", "onnx-fp32"]) == 0


def _signed_by_another(folder: Path) -> None:
    (folder / MANIFEST_NAME).write_bytes(PrivateKey.generate().sign(manifest()).to_json())


def _other_payload(folder: Path) -> None:
    envelope = json.loads((folder / MANIFEST_NAME).read_text())
    other = json.loads(PrivateKey.generate().sign(manifest(version=4)).to_json())
    (folder / MANIFEST_NAME).write_text(json.dumps({**envelope, "payload": other["payload"]}))


def _other_type(folder: Path) -> None:
    envelope = json.loads((folder / MANIFEST_NAME).read_text())
    (folder / MANIFEST_NAME).write_text(json.dumps({**envelope, "payloadType": "text/plain"}))


def _escapes(folder: Path) -> None:
    # Names from an envelope that nobody signed must not steer a terminal.
    signed = KEY.sign(manifest())
    forged = type(signed)(signed.payload_type, signed.payload, (Signature("\x1b[2J", bytes(64)),))
    (folder / MANIFEST_NAME).write_bytes(forged.to_json())


def _linked_manifest(folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()
    (folder / MANIFEST_NAME).symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_signed_by_another, "no trusted key signed"),
        (_other_payload, "it was changed"),
        (_other_type, "it was changed"),
        (_escapes, "no trusted key signed"),
        (_linked_manifest, "symbolic link"),
        (lambda folder: (folder / MANIFEST_NAME).unlink(), "No such file"),
        (
            lambda folder: (folder / MANIFEST_NAME).write_bytes(b"x" * (MAX_ENVELOPE_BYTES + 9)),
            "over the limit",
        ),
        (lambda folder: os.truncate(folder / MANIFEST_NAME, 50 << 30), "over the limit"),
        (lambda folder: (folder / MANIFEST_NAME).write_bytes(b"[" * 99_999), "no JSON"),
    ],
)
def test_spoilt_manifests(
    release: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], object],
    message: str,
) -> None:
    folder, key = release
    spoil(folder)
    assert main([str(folder), "--key", str(key)]) == 1
    shown = capsys.readouterr()
    assert message in shown.err
    assert "ok " not in shown.out
    assert "\x1b" not in shown.err


def test_strangers_are_warned_of(release: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder, key = release
    (folder / "\x1b[2J.onnx").write_bytes(b"x")
    assert main([str(folder), "--key", str(key)]) == 0
    assert "warning: '\\x1b[2J.onnx' is not in the manifest" in capsys.readouterr().err


def test_another_version_or_format_than_expected(
    release: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, key = release
    assert main([str(folder), "--key", str(key), "--expect", "models/m/versions/4"]) == 1
    assert "is of models/m/versions/3, not of models/m/versions/4" in capsys.readouterr().err
    assert main([str(folder), "--key", str(key), "--format", "onnx-fp16"]) == 1
    assert "has no onnx-fp16; it has onnx-fp32, onnx-int8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["FOLDER"],
        ["nowhere", "--key", "KEY"],
        ["x" * 300, "--key", "KEY"],
        ["FOLDER", "--key", "nowhere.pem"],
        ["FOLDER", "--key", "FOLDER"],
        ["FOLDER", "--key", "PRIVATE"],
        ["FOLDER", "--key", "KEY", "--nonsense"],
    ],
)
def test_wrong_usage(
    release: tuple[Path, Path], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    folder, key = release
    private = folder.parent / "private.pem"
    private.write_bytes(KEY.to_pem())
    known = {"FOLDER": str(folder), "KEY": str(key), "PRIVATE": str(private)}
    try:
        code = main([known.get(argument, argument) for argument in arguments])
    except SystemExit as error:  # argparse's own way
        code = int(error.code or 0)
    assert code == 2
    assert "error: " in capsys.readouterr().err

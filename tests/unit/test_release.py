"""Manifests, envelopes and signatures."""

from __future__ import annotations

import base64
import doctest
import json
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest
from autoisp_core.errors import DataLossError, InvalidArgumentError
from autoisp_core.release import Envelope, Manifest, ReleaseFile, Signature, envelope, media_type_of
from autoisp_core.release import manifest as manifest_module
from autoisp_core.release.ed25519 import PrivateKey, PublicKey, open_manifest
from autoisp_core.release.envelope import MANIFEST_TYPE, MAX_ENVELOPE_BYTES
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from released import CREATED, KEY, manifest


@pytest.mark.parametrize("module", [envelope, manifest_module], ids=lambda module: module.__name__)
def test_the_examples_run(module: Any) -> None:
    results = doctest.testmod(module)
    assert results.attempted
    assert not results.failed


def test_a_manifest_is_written_in_one_way_and_read_back() -> None:
    written = manifest().to_json()
    assert Manifest.from_json(written) == manifest()
    shuffled = replace(
        manifest(),
        files=manifest().files[::-1],
        create_time=CREATED.astimezone(timezone(timedelta(hours=5))),
    )
    assert shuffled.to_json() == written
    assert written.startswith(b'{"create_time":"2024-05-06T07:08:09.000010Z","files":[{"format":"onnx-fp32",')
    assert b" " not in written


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(manifest().to_json()), **changes}).encode()


def with_file(**changes: object) -> bytes:
    first, *rest = json.loads(manifest().to_json())["files"]
    return changed(files=[{**first, **changes}, *rest])


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "manifest"),
        (b"[]", "manifest"),
        (b"\xff", "manifest"),
        (b"[" * 100_000, "manifest"),
        (b" " * (2 << 20), "manifest"),
        (b'{"schema":1,"schema":1}', "manifest"),
        (changed(more=1), "manifest"),
        (changed(schema=2), "schema"),
        (changed(schema=True), "schema"),
        (changed(schema=float("nan")), "manifest"),
        (changed(model="m"), "model"),
        (changed(model=5), "model"),
        (changed(version="3"), "version"),
        (changed(version=0), "version"),
        (changed(create_time="yesterday"), "create_time"),
        (changed(create_time="2024-05-06T07:08:09"), "create_time"),
        (changed(files=[]), "files"),
        (changed(files={}), "files"),
        (changed(files=["x"]), "files"),
        (changed(lineage={}), "lineage"),
        (with_file(sha256="A" * 64), "files.sha256"),
        (with_file(size_bytes=0), "files.size_bytes"),
        (with_file(size_bytes=1.5), "files.size_bytes"),
        (with_file(size_bytes=True), "files.size_bytes"),
        (with_file(format="onnx-int8"), "files"),
        (with_file(name="ONNX-int8.onnx"), "files"),
        (with_file(media_type="onnx\n"), "files.media_type"),
        *(
            (with_file(name=name), "files.name")
            for name in (
                *("../m.onnx", "/etc/passwd", "a/b", "a\\b", "..", ".hidden", "", "a\0b", "C:m", "m.onnx\n"),
                *("x" * 200, "ünïcode.onnx", "a b"),
            )
        ),
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Manifest.from_json(data)
    assert caught.value.field == field


def test_odd_media_types_become_any_bytes() -> None:
    assert media_type_of("application/onnx") == "application/onnx"
    for odd in ("", "onnx", "a/b\nc", "a/" + "b" * 500, "text/x y"):
        assert media_type_of(odd) == "application/octet-stream"


def test_the_signature_is_over_the_type_too() -> None:
    signed = KEY.sign(manifest())
    assert signed.signed == b"DSSEv1 %d %s %d %s" % (
        len(MANIFEST_TYPE),
        MANIFEST_TYPE.encode(),
        len(signed.payload),
        signed.payload,
    )
    ed25519.Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(
        signed.signatures[0].signature, signed.signed
    )
    assert signed.signatures[0].key_id == KEY.public.key_id
    assert KEY.sign(manifest()).to_json() == signed.to_json()


def test_one_trusted_key_of_several_is_enough() -> None:
    signed, others = KEY.sign(manifest()), [PrivateKey.generate() for _ in range(2)]
    both = replace(signed, signatures=(*others[0].sign(manifest()).signatures, *signed.signatures))
    opened, signer = open_manifest(both.to_json(), [others[1].public, KEY.public])
    assert (opened, signer) == (manifest(), KEY.public)
    # What the envelope says of the key is a hint only.
    misnamed = replace(signed, signatures=(Signature("x", signed.signatures[0].signature),))
    assert open_manifest(misnamed.to_json(), [KEY.public])[1] == KEY.public


def test_what_no_trusted_key_signed_is_refused() -> None:
    signed = KEY.sign(manifest())
    other = PrivateKey.generate().public
    newer = manifest(version=4).to_json()
    for forged, keys in (
        (signed, [other]),
        (signed, []),
        (replace(signed, payload=newer), [KEY.public]),
        (replace(signed, payload_type="text/plain"), [KEY.public]),
        (replace(signed, signatures=(Signature(KEY.public.key_id, b""),)), [KEY.public]),
        (replace(signed, signatures=(Signature(other.key_id, bytes(64)),)), [KEY.public, other]),
    ):
        with pytest.raises(DataLossError) as caught:
            open_manifest(forged.to_json(), keys)
        assert caught.value.reason == "NOT_SIGNED"


def test_a_payload_of_another_type_is_no_manifest_even_if_signed() -> None:
    payload = manifest().to_json()
    raw = ed25519.Ed25519PrivateKey.generate()
    other = envelope.pre_authentication_encoding("application/vnd.in-toto+json", payload)
    forged = Envelope("application/vnd.in-toto+json", payload, (Signature("k", raw.sign(other)),))
    public = PublicKey(raw.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    with pytest.raises(DataLossError, match="no manifest"):
        open_manifest(forged.to_json(), [public])


def enveloped(**changes: object) -> bytes:
    return json.dumps({**json.loads(KEY.sign(manifest()).to_json()), **changes}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"{" * 50_000,
        b" " * (MAX_ENVELOPE_BYTES + 1),
        enveloped(payload="!"),
        enveloped(payload=5),
        enveloped(payloadType=None),
        enveloped(signatures=[]),
        enveloped(signatures=[{"keyid": "k", "sig": ""}] * 17),
        enveloped(signatures=["x"]),
        enveloped(signatures=[{"keyid": "k"}]),
        enveloped(more=1),
    ],
)
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        open_manifest(data, [KEY.public])
    assert caught.value.reason == "BAD_MANIFEST"


def test_a_signed_payload_is_read_as_strictly() -> None:
    payload = changed(files=[])
    raw = ed25519.Ed25519PrivateKey.generate()
    signature = raw.sign(envelope.pre_authentication_encoding(MANIFEST_TYPE, payload))
    text = Envelope(MANIFEST_TYPE, payload, (Signature("k", signature),)).to_json()
    assert base64.b64decode(json.loads(text)["payload"]) == payload
    with pytest.raises(InvalidArgumentError):
        open_manifest(text, [PublicKey(raw.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))])


def test_keys_go_through_pem() -> None:
    assert PrivateKey.from_pem(KEY.to_pem()).public == KEY.public
    assert PublicKey.from_pem(KEY.public.pem.encode()) == KEY.public
    assert len(KEY.public.key_id) == 16


def test_other_keys_are_refused_with_the_fix() -> None:
    p256 = ec.generate_private_key(ec.SECP256R1())
    other_private = p256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other_public = p256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for data, match in (
        (b"", "no private key"),
        (b"nonsense", "no private key"),
        (locked, "encrypted.*openssl pkey"),
        (other_private, "another kind.*ed25519"),
        (KEY.public.pem.encode(), "a public key.*genpkey"),
    ):
        with pytest.raises(InvalidArgumentError, match=match):
            PrivateKey.from_pem(data)
    for data, match in (
        (b"nonsense", "no public key"),
        (KEY.to_pem(), "private key.*-pubout"),
        (other_public, "another kind"),
    ):
        with pytest.raises(InvalidArgumentError, match=match):
            PublicKey.from_pem(data)


def test_files_are_checked_as_they_are_made() -> None:
    with pytest.raises(InvalidArgumentError):
        ReleaseFile("ONNX", "a", "0" * 64, 1)
    with pytest.raises(InvalidArgumentError, match="101 of them"):
        manifest(files=tuple(ReleaseFile(f"f{i}", f"f{i}.bin", "0" * 64, 1) for i in range(101)))
    with pytest.raises(DataLossError, match="trusted are none"):
        open_manifest(KEY.sign(manifest()).to_json(), [])

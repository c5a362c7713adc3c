"""Ed25519 keys and what they sign; the one module here that needs ``cryptography``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from autoisp_core.errors import DataLossError, InvalidArgumentError
from autoisp_core.release.envelope import MANIFEST_TYPE, Envelope, Signature, pre_authentication_encoding
from autoisp_core.release.manifest import Manifest

MAX_PEM_BYTES = 16_384


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with.

    Attributes:
        raw: 32 bytes.
    """

    raw: bytes

    @property
    def key_id(self) -> str:
        """The first 16 hexadecimal characters of the SHA-256 of the raw key."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def pem(self) -> str:
        """SubjectPublicKeyInfo, as ``openssl pkey -pubout`` writes it."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @classmethod
    def from_pem(cls, data: bytes, field: str = "key") -> PublicKey:
        """Read a public key.

        Raises:
            InvalidArgumentError: naming ``field``, when it is something else.
        """
        if b"PRIVATE KEY" in data:
            raise InvalidArgumentError(
                field, "that is a private key; give the public one: openssl pkey -in KEY.pem -pubout"
            )
        try:
            key = load_pem_public_key(data[:MAX_PEM_BYTES])
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidArgumentError(field, "that is no public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise InvalidArgumentError(
                field, "that is a public key of another kind; an Ed25519 key is needed"
            )
        return cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))

    def made(self, signature: bytes, data: bytes) -> bool:
        """Whether this key made ``signature`` over ``data``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A key that signs. Nothing but :meth:`to_pem` shows it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @classmethod
    def generate(cls) -> PrivateKey:
        """A new key from the system's randomness."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, data: bytes, field: str = "key") -> PrivateKey:
        """Read an unencrypted private key (PKCS #8).

        Raises:
            InvalidArgumentError: naming ``field``, when it is something else.
        """
        try:
            key = load_pem_private_key(data[:MAX_PEM_BYTES], None)
        except TypeError as error:
            raise InvalidArgumentError(
                field,
                "the key is encrypted, and nobody is there to type its password; write it without: "
                "openssl pkey -in KEY.pem -out PLAIN.pem",
            ) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            kind = "a public key" if b"PUBLIC KEY" in data else "no private key in PEM"
            raise InvalidArgumentError(
                field, f"that is {kind}; make one: openssl genpkey -algorithm ed25519 -out KEY.pem"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidArgumentError(
                field,
                "that is a private key of another kind; make one: openssl genpkey -algorithm ed25519 "
                "-out KEY.pem",
            )
        return cls(key)

    def to_pem(self) -> bytes:
        """PKCS #8, unencrypted."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, manifest: Manifest) -> Envelope:
        """The manifest in an envelope; the same manifest and key give the same bytes."""
        payload = manifest.to_json()
        signature = self._key.sign(pre_authentication_encoding(MANIFEST_TYPE, payload))
        return Envelope(MANIFEST_TYPE, payload, (Signature(self.public.key_id, signature),))


def open_manifest(data: bytes, trusted: Iterable[PublicKey]) -> tuple[Manifest, PublicKey]:
    """The manifest in an envelope, and the trusted key that signed it.

    Args:
        data: the envelope's bytes, from anywhere.
        trusted: keys of which one signature is enough.

    Raises:
        DataLossError: no trusted key signed it (reason ``NOT_SIGNED``).
        InvalidArgumentError: it is no envelope of a manifest (reason ``BAD_MANIFEST``).
    """
    envelope = Envelope.from_json(data)
    keys = tuple(trusted)
    signer = next(
        (key for key in keys for one in envelope.signatures if key.made(one.signature, envelope.signed)), None
    )
    if signer is None:
        named = ", ".join(repr(one.key_id) for one in envelope.signatures)
        if {one.key_id for one in envelope.signatures} & {key.key_id for key in keys}:
            raise DataLossError(
                f"the manifest is not what {named} signed: it was changed; get it again from the registry",
                reason="NOT_SIGNED",
            )
        raise DataLossError(
            f"no trusted key signed the manifest (it names {named}; trusted are "
            f"{', '.join(key.key_id for key in keys) or 'none'}); it is not genuine, or its key is "
            "missing here",
            reason="NOT_SIGNED",
        )
    if envelope.payload_type != MANIFEST_TYPE:
        raise DataLossError(
            f"what was signed is {envelope.payload_type[:100]!r} and no manifest ({MANIFEST_TYPE})",
            reason="NOT_SIGNED",
        )
    return Manifest.from_json(envelope.payload), signer

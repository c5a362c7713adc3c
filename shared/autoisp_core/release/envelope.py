"""DSSE envelopes: bytes with signatures over them and over what they are.

https://github.com/secure-systems-lab/dsse, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

from autoisp_core.release import strict_json
from autoisp_core.release.strict_json import bad

MANIFEST_TYPE = "application/vnd.autoisp.manifest+json"
"""payloadType of a signed :class:`autoisp_core.release.Manifest`."""
ENVELOPE_MEDIA_TYPE = "application/vnd.dsse.envelope.v1+json"

MAX_ENVELOPE_BYTES = 2 << 20
MAX_SIGNATURES = 16


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is signed, so that no payload can be taken for one of another type.

    >>> pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
        key_id: a hint which key made it; nothing is sure of it.
        signature: as many bytes as the key's algorithm gives.
    """

    key_id: str
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload and who signed it.

    Attributes:
        payload_type: what the payload is.
        payload: any bytes.
        signatures: at least one, at most :data:`MAX_SIGNATURES`.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def signed(self) -> bytes:
        """What the signatures are over."""
        return pre_authentication_encoding(self.payload_type, self.payload)

    def to_json(self) -> bytes:
        """The envelope as JSON."""
        return json.dumps(
            {
                "payloadType": self.payload_type,
                "payload": base64.b64encode(self.payload).decode(),
                "signatures": [
                    {"keyid": one.key_id, "sig": base64.b64encode(one.signature).decode()}
                    for one in self.signatures
                ],
            },
            indent=1,
        ).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Envelope:
        """Read an envelope; nothing in it is to be believed before a signature has been checked.

        Raises:
            InvalidArgumentError: it is none.
        """
        keys = ("payloadType", "payload", "signatures")
        found = strict_json.read_object(data, "envelope", keys, MAX_ENVELOPE_BYTES)
        signatures = found["signatures"]
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
            raise bad("envelope.signatures", f"there must be 1 to {MAX_SIGNATURES} of them")
        return cls(
            strict_json.text(found["payloadType"], "envelope.payloadType"),
            _base64(found["payload"], "envelope.payload"),
            tuple(_signature(one) for one in signatures),
        )


def _signature(value: object) -> Signature:
    found = strict_json.checked_object(value, "envelope.signatures", ("keyid", "sig"))
    key_id = strict_json.text(found["keyid"], "envelope.signatures.keyid")
    return Signature(key_id[:64], _base64(found["sig"], "envelope.signatures.sig"))


def _base64(value: object, field: str) -> bytes:
    try:
        return base64.b64decode(strict_json.text(value, field), validate=True)
    except (ValueError, binascii.Error) as error:
        raise bad(field, "it is no base64") from error

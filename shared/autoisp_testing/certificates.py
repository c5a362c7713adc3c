"""Certificate authorities and certificates of theirs, for tests of TLS."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Files:
    """PEM files of one holder."""

    cert: Path
    key: Path


class Authority:
    """Makes certificates for localhost; its own is the file ``ca``.

    Args:
        folder: for the files; made if missing.
        name: of the authority, and of its file.
        places: names and addresses that its certificates are for.
    """

    def __init__(self, folder: Path, name: str, places: Sequence[str] = ("localhost", "127.0.0.1")) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._name, self._places = folder, _named(name), places
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(self._name, self._name, self._key, datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(certificate.public_bytes(_PEM))

    def issue(self, name: str, *, valid_for: timedelta = timedelta(hours=1), file: str = "") -> Files:
        """A certificate of ``name`` (empty: of nobody), good for localhost and 127.0.0.1.

        One with a negative time has expired.

        Files of the same name (``file``, by default ``name``) are replaced, each at once.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self._name, key, datetime.now(UTC) + valid_for)
        if self._places:
            names = x509.SubjectAlternativeName([_place(place) for place in self._places])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        files = Files(self._folder / f"{file or name}.crt", self._folder / f"{file or name}.key")
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        _write(files.key, private)
        _write(files.cert, certificate.public_bytes(_PEM))
        return files


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(until, datetime.now(UTC)) - timedelta(hours=1))
        .not_valid_after(until)
    )


def _place(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)

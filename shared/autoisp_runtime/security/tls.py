"""The server's side of TLS: certificates from files, which may be replaced while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
from autoisp_core.errors import InvalidArgumentError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of a server.

    Attributes:
        cert: its certificate, then those between it and its authority.
        key: its private key.
        client_ca: authorities of callers' certificates; None: callers need none.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def read(self) -> tuple[bytes, bytes, bytes | None]:
        """The three files' bytes.

        Raises:
            InvalidArgumentError: names the field whose file can't be read or is none, or is the key
                of another certificate.
        """
        cert, key = _bytes("tls_cert", self.cert), _bytes("tls_key", self.key)
        client_ca = _bytes("tls_client_ca", self.client_ca) if self.client_ca else None
        certificate = _certificate("tls_cert", self.cert, cert)
        try:
            private = load_pem_private_key(key, None)
        except (ValueError, TypeError) as error:
            raise InvalidArgumentError(
                "tls_key", f"{self.key} is no PEM private key without password"
            ) from error
        if private.public_key() != certificate.public_key():
            raise InvalidArgumentError("tls_key", f"{self.key} is not the key of {self.cert}")
        if client_ca is not None:
            _certificate("tls_client_ca", self.client_ca, client_ca)
        return cert, key, client_ca


class _Rotation:
    """Asked by gRPC at every handshake."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._current = files.read()
        self._said = ""

    @property
    def current(self) -> grpc.ServerCertificateConfiguration:
        cert, key, client_ca = self._current
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=client_ca)

    def fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """The new files; None while there are none that are whole: then the earlier ones stay."""
        try:
            read = self._files.read()
        except InvalidArgumentError as error:
            if str(error) != self._said:
                self._said = str(error)
                _log.error("TLS certificates stay as they were", error=self._said)
            return None
        self._said = ""
        if read == self._current:
            return None
        self._current = read
        _log.info("TLS certificates were read again", cert=str(self._files.cert))
        return self.current


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """Credentials that follow their files: each handshake takes what is there then.

    Raises:
        InvalidArgumentError: as :meth:`TlsFiles.read`.
    """
    rotation = _Rotation(files)
    return grpc.dynamic_ssl_server_credentials(
        rotation.current,
        rotation.fetch,  # type: ignore[arg-type]  # None is right: nothing new
        require_client_authentication=files.client_ca is not None,
    )


def _bytes(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(field, f"can't read {path}: {error.strerror}") from error


def _certificate(field: str, path: Path | None, data: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError as error:
        raise InvalidArgumentError(field, f"{path} has no PEM certificate") from error

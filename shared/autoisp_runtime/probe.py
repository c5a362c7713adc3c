"""``python -m autoisp_runtime.probe``: whether a server is healthy, as an exit code.

For containers whose host has no gRPC probes of its own, or none that speak TLS. It runs beside the server and
with its environment: where that has AUTOISP_TLS_CERT it speaks TLS, and trusts this certificate and no other.
Imports little: it runs every few seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = "SERVING"
LIVENESS = "liveness"
"""Health name that is SERVING while the process answers, whatever else is away: what restarts may go by."""
_ANY_HOST = ("0.0.0.0", "[::]", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask once; 0 when the answer is SERVING, 1 when it is another or none comes, 2 on wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m autoisp_runtime.probe", description=__doc__)
    parser.add_argument("address", nargs="?", default="", help="HOST:PORT; by default AUTOISP_LISTEN")
    parser.add_argument("--service", default="", help=f"name to ask for: a gRPC service's, or {LIVENESS!r}")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="S", help="seconds to wait")
    chosen = parser.parse_args(arguments)
    address = dialled(chosen.address or os.environ.get("AUTOISP_LISTEN", ""))
    if address is None:
        parser.error("give HOST:PORT, or set AUTOISP_LISTEN to one with a fixed port")
    try:
        tls = OwnTls.of(os.environ)
    except (OSError, ValueError) as error:
        print(f"{address}: AUTOISP_TLS_CERT or AUTOISP_TLS_KEY: {error}", file=sys.stderr)
        return 1
    if tls is not None and not tls.begins <= datetime.now(UTC) < tls.ends:
        # TLS can't be spoken, so nobody can be asked; and a restart makes no certificate.
        print(f"{address}: its certificate is good from {tls.begins} to {tls.ends}", file=sys.stderr)
        return 0 if chosen.service == LIVENESS else 1
    answer = status(address, chosen.service, chosen.timeout, tls)
    print(f"{address}: {answer}", file=sys.stdout if answer == SERVING else sys.stderr)
    return 0 if answer == SERVING else 1


@dataclass(frozen=True)
class OwnTls:
    """TLS to the server whose certificate this is, whoever signed it.

    Attributes:
        pem: the certificate, then those between it and its authority.
        name: one that it is for.
        begins: when it starts to be good; ``ends``: when it no longer is.
        key: its private key (PEM), where the server asks for certificates and is shown its own.
    """

    pem: bytes
    name: str
    begins: datetime
    ends: datetime
    key: bytes | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> OwnTls | None:
        """That of the server with this environment; None if it speaks no TLS.

        Raises:
            OSError: a file can't be read.
            ValueError: the certificate is none, or names nobody.
        """
        cert, key = (environment.get(f"AUTOISP_TLS_{what}", "") for what in ("CERT", "KEY"))
        if not cert:
            return None
        from cryptography import x509  # only whoever has a certificate waits for this import

        pem = Path(cert).read_bytes()
        certificate = x509.load_pem_x509_certificates(pem)[0]
        names: list[str] = []
        for extension in certificate.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                names += extension.value.get_values_for_type(x509.DNSName)
                names += map(str, extension.value.get_values_for_type(x509.IPAddress))
        names += (
            str(each.value) for each in certificate.subject.get_attributes_for_oid(x509.OID_COMMON_NAME)
        )
        if not names:
            raise ValueError(f"{cert} has neither a subjectAltName nor a common name")
        shown = Path(key).read_bytes() if environment.get("AUTOISP_TLS_CLIENT_CA") else None
        name = names[0].replace("*", "any")
        return cls(pem, name, certificate.not_valid_before_utc, certificate.not_valid_after_utc, shown)

    def channel(self, address: str) -> grpc.Channel:
        """To the server, by whatever address."""
        credentials = grpc.ssl_channel_credentials(self.pem, self.key, self.pem if self.key else None)
        return grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", self.name),))


def status(address: str, service: str = "", timeout_s: float = 3.0, tls: OwnTls | None = None) -> str:
    """What the server at ``address`` says of itself: ``SERVING``, another status, or why none came."""
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(address) if tls is None else tls.channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_s)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def dialled(listen: str) -> str | None:
    """Where to reach a server that listens on ``listen``; None if that says no port.

    >>> dialled("0.0.0.0:50051")
    '127.0.0.1:50051'
    >>> dialled("127.0.0.1:0") is None
    True
    """
    host, _, port = listen.rpartition(":")
    if not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return f"127.0.0.1:{port}" if host in _ANY_HOST else listen


if __name__ == "__main__":
    sys.exit(main())

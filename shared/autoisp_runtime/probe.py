"""``python -m autoisp_runtime.probe``: whether a server is healthy, as an exit code.

For containers whose host has no gRPC probes of its own. Imports little: it runs every few seconds.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = "SERVING"
_ANY_HOST = ("0.0.0.0", "[::]", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask once; 0 when the answer is SERVING, 1 when it is another or none comes, 2 on wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m autoisp_runtime.probe", description=__doc__)
    parser.add_argument("address", nargs="?", default="", help="HOST:PORT; by default AUTOISP_LISTEN")
    parser.add_argument("--service", default="", help="name to ask for: a gRPC service's, or 'liveness'")
    parser.add_argument("--timeout", type=float, default=3.0, metavar="S", help="seconds to wait")
    chosen = parser.parse_args(arguments)
    address = dialled(chosen.address or os.environ.get("AUTOISP_LISTEN", ""))
    if address is None:
        parser.error("give HOST:PORT, or set AUTOISP_LISTEN to one with a fixed port")
    answer = status(address, chosen.service, chosen.timeout)
    print(f"{address}: {answer}", file=sys.stdout if answer == SERVING else sys.stderr)
    return 0 if answer == SERVING else 1


def status(address: str, service: str = "", timeout_s: float = 3.0) -> str:
    """What the server at ``address`` says of itself: ``SERVING``, another status, or why none came."""
    request = health_pb2.HealthCheckRequest(service=service)
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                request, timeout=timeout_s, wait_for_ready=True
            )
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

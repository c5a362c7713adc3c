"""``/metrics`` over HTTP, where the configuration asks for it."""

from __future__ import annotations

import structlog
from autoisp_core.errors import InvalidArgumentError
from prometheus_client import disable_created_metrics, start_http_server

_log = structlog.get_logger(__name__)


def serve_metrics(listen: str) -> int:
    """Serve this process's metrics in a thread of its own until it ends; returns the port.

    Args:
        listen: ``HOST:PORT``; port 0 takes a free one.

    Raises:
        InvalidArgumentError: the address can't be bound.
    """
    # They would be a second series for each counter.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    host, _, port = listen.rpartition(":")
    try:
        server, _ = start_http_server(int(port), host.strip("[]"))
    except OSError as error:
        raise InvalidArgumentError(
            "metrics_listen",
            f"can't serve metrics on {listen}: {error.strerror or error}; is the port taken? "
            "Port 0 takes a free one",
            reason="CANT_LISTEN",
        ) from error
    taken = int(server.server_port)
    _log.info("metrics", url=f"http://{host}:{taken}/metrics", port=taken)
    return taken

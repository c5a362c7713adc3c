"""``python -m autoisp_runtime.jetstream``: makes every stream and consumer, then ends.

Services do it at their start, too. As a job of its own it makes the consumers exist while nothing else runs
yet: an autoscaler that starts workers from zero needs theirs first.
"""

from __future__ import annotations

import asyncio
import sys
from typing import ClassVar

import structlog

from autoisp_runtime.config import ServiceConfig, load_config
from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.credentials import credential_options
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.runtime import until_topology

_log = structlog.get_logger(__name__)


class TopologyConfig(ServiceConfig):
    """NATS and the logs are what counts."""

    service: ClassVar[str] = "topology"


def main() -> int:
    """0 once streams and consumers are there; waits, saying why, while the servers are away or too few."""
    config = load_config(TopologyConfig)
    configure_logging(config.service, config.log_format, config.log_level)
    return asyncio.run(_make(config))


async def _make(config: TopologyConfig) -> int:
    credentials = credential_options(config.nats_credentials)
    nats = await NatsConnection.open(config.nats_url, name="autoisp-topology", options=credentials)
    try:
        await until_topology(nats, config)
    finally:
        await nats.close()
    _log.info("streams and consumers are there", replicas=config.nats_replicas)
    return 0


if __name__ == "__main__":
    sys.exit(main())

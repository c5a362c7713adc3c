"""``python -m autoisp_runtime.migrate ingest search …``: brings services' schemas to this release, then ends.

Services do it at their start, too. As a job of its own it shows a migration that fails before a release is
rolled out.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar

import structlog
from autoisp_core.errors import AutoISPError

from autoisp_runtime.config import CONFIG_EXIT_CODE, ServiceConfig, exit_message, load_config, variable
from autoisp_runtime.database import Database
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.migrations import migrate
from autoisp_runtime.runtime import until_available

_log = structlog.get_logger(__name__)


class MigrateConfig(ServiceConfig):
    """The database and the logs are what counts."""

    service: ClassVar[str] = "migrate"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every schema is at its newest revision; 1 when a migration failed; 2 on a wrong setting."""
    parser = argparse.ArgumentParser(prog="python -m autoisp_runtime.migrate", description=__doc__)
    parser.add_argument("services", nargs="+", metavar="SERVICE", help="for example: ingest search")
    services: list[str] = parser.parse_args(arguments).services
    for service in services:
        if not service.isidentifier() or find_spec(f"autoisp_{service}.migrations") is None:
            parser.error(f"{service!r} is no service with tables: there is no autoisp_{service}.migrations")
    config = load_config(MigrateConfig)
    if not config.database_url.startswith("postgresql"):
        # An SQLite file is one service's, and only that service knows which.
        exit_message(variable("database_url"), "must be the PostgreSQL database to migrate")
        return CONFIG_EXIT_CODE
    configure_logging(config.service, config.log_format, config.log_level)
    return asyncio.run(_migrate(config.database_url, services))


async def _migrate(url: str, services: Sequence[str]) -> int:
    for service in services:
        try:
            database = Database(url, service)
        except AutoISPError as error:
            exit_message(variable("database_url"), str(error))
            return CONFIG_EXIT_CODE
        try:
            await until_available(lambda: migrate(database, f"autoisp_{service}.migrations"), "the database")  # noqa: B023
        except Exception as error:
            _log.critical("migration failed", of=service, error=str(error), exc_info=True)
            return 1
        finally:
            await database.close()
        _log.info("migrated", of=service)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How this process is: what it depends on, and what waits in its outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from autoisp_core.errors import AutoISPError

from autoisp_runtime.outbox import Outbox

Check = Callable[[], Awaitable[None]]
"""Content when it returns; raises an ``AutoISPError`` to say no."""

_CHECK_S = 2.0


@dataclass(frozen=True)
class DependencyHealth:
    """One dependency; an empty ``error`` says that it is well."""

    name: str
    error: str = ""


@dataclass(frozen=True)
class OutboxHealth:
    """Events that wait, and for how long the oldest has."""

    messages: int
    oldest_age_s: float


class ProcessHealth:
    """Asks.

    Args:
        checks: one for each dependency.
        outbox: the process's, if it has one.
    """

    def __init__(self, checks: Mapping[str, Check], outbox: Outbox | None) -> None:
        self._checks = checks
        self._outbox = outbox

    @property
    def has_outbox(self) -> bool:
        """Whether there is one."""
        return self._outbox is not None

    async def dependencies(self) -> list[DependencyHealth]:
        """How each is, after two seconds at most."""
        return list(await asyncio.gather(*(_ask(name, check) for name, check in self._checks.items())))

    async def outbox(self) -> OutboxHealth | None:
        """What waits; None without an outbox.

        Raises:
            UnavailableError: the database is away.
        """
        if self._outbox is None:
            return None
        return OutboxHealth(await self._outbox.pending(), await self._outbox.oldest_age_s())


async def _ask(name: str, check: Check) -> DependencyHealth:
    try:
        async with asyncio.timeout(_CHECK_S):
            await check()
    except TimeoutError:
        return DependencyHealth(name, f"no answer within {_CHECK_S:.0f} s")
    except AutoISPError as error:
        return DependencyHealth(name, str(error))
    return DependencyHealth(name)

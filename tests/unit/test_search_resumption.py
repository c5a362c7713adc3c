"""When searches go on: after a start, and once another queue is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import nats.errors
import pytest
from autoisp_core.errors import UnavailableError
from autoisp_runtime.jetstream import NatsConnection
from autoisp_search.resumption import Resumption

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(hours=1)


@dataclass
class Searches:
    """Remembers since when the queue was there each time, or has no database."""

    resumed: list[datetime | None] = field(default_factory=list)
    away: bool = False

    async def resume(self, queue_since: datetime | None = None) -> int:
        if self.away:
            raise UnavailableError("the database is away")
        self.resumed.append(queue_since)
        return 1


class Broker:
    """As a connection and its JetStream; ``created`` None: it does not answer."""

    def __init__(self) -> None:
        self.js = self
        self.created: datetime | None = FIRST

    async def stream_info(self, name: str) -> Any:
        if self.created is None:
            raise nats.errors.TimeoutError
        return self


@pytest.fixture
def searches() -> Searches:
    return Searches()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def resumption(searches: Searches, broker: Broker) -> Resumption:
    return Resumption(searches, cast(NatsConnection, broker))


async def test_the_same_queue_resumes_nothing_again(resumption: Resumption, searches: Searches) -> None:
    await resumption.start()
    await resumption.look_again()
    assert searches.resumed == [FIRST]


async def test_another_queue_is_commanded_once(
    resumption: Resumption, searches: Searches, broker: Broker
) -> None:
    await resumption.start()
    broker.created = SECOND
    await resumption.look_again()
    await resumption.look_again()
    assert searches.resumed == [FIRST, SECOND]


async def test_what_could_not_be_commanded_is_asked_for_again(
    resumption: Resumption, searches: Searches, broker: Broker
) -> None:
    await resumption.start()
    broker.created = None
    with pytest.raises(nats.errors.TimeoutError):
        await resumption.look_again()
    broker.created, searches.away = SECOND, True
    with pytest.raises(UnavailableError):
        await resumption.look_again()
    searches.away = False
    await resumption.look_again()
    assert searches.resumed == [FIRST, SECOND]


async def test_a_silent_broker_does_not_keep_searches_from_going_on(
    resumption: Resumption, searches: Searches, broker: Broker
) -> None:
    broker.created = None
    await resumption.start()
    assert searches.resumed == [None]

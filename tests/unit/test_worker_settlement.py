"""A job is worked once, recorded once, and announced however often it is delivered."""

import pytest
from autoisp_core.errors import UnavailableError
from autoisp_worker.usecases import Settlement, Ticket

TICKET = Ticket("trials/s/t", "autoisp.v1.evt.trial.completed.s-t", "trial.completed.s-t")


class FakeRecord:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def record(self, key: str, payload: bytes) -> bytes:
        return self.kept.setdefault(key, payload)


class FakeAnnouncements:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, bytes]] = []
        self.broken = False

    async def announce(self, subject: str, event_id: str, payload: bytes) -> None:
        if self.broken:
            raise UnavailableError("NATS is away")
        self.said.append((subject, event_id, payload))


class Work:
    def __init__(self, payload: bytes = b"result") -> None:
        self.calls = 0
        self._payload = payload

    async def __call__(self) -> bytes:
        self.calls += 1
        return self._payload


@pytest.fixture
def record() -> FakeRecord:
    return FakeRecord()


@pytest.fixture
def announcements() -> FakeAnnouncements:
    return FakeAnnouncements()


@pytest.fixture
def settlement(record: FakeRecord, announcements: FakeAnnouncements) -> Settlement:
    return Settlement(record, announcements)


async def test_records_and_announces_under_the_tickets_names(
    settlement: Settlement, record: FakeRecord, announcements: FakeAnnouncements
) -> None:
    assert await settlement.settle(TICKET, Work()) == b"result"

    assert record.kept == {TICKET.key: b"result"}
    assert announcements.said == [(TICKET.subject, TICKET.event_id, b"result")]


async def test_what_is_recorded_is_announced_again_but_never_worked_again(
    settlement: Settlement, announcements: FakeAnnouncements
) -> None:
    work = Work()

    for _ in range(3):
        await settlement.settle(TICKET, work)

    assert work.calls == 1
    assert announcements.said == [(TICKET.subject, TICKET.event_id, b"result")] * 3


async def test_after_a_lost_announcement_the_next_delivery_only_announces(
    settlement: Settlement, record: FakeRecord, announcements: FakeAnnouncements
) -> None:
    work = Work()
    announcements.broken = True
    with pytest.raises(UnavailableError):
        await settlement.settle(TICKET, work)
    assert record.kept == {TICKET.key: b"result"}

    announcements.broken = False
    await settlement.settle(TICKET, work)

    assert work.calls == 1
    assert len(announcements.said) == 1


async def test_the_slower_of_two_workers_announces_the_faster_ones_result(
    settlement: Settlement, record: FakeRecord, announcements: FakeAnnouncements
) -> None:
    async def overtaken() -> bytes:
        record.kept[TICKET.key] = b"faster"
        return b"slower"

    assert await settlement.settle(TICKET, overtaken) == b"faster"
    assert announcements.said[0][2] == b"faster"


async def test_failing_work_leaves_no_trace(
    settlement: Settlement, record: FakeRecord, announcements: FakeAnnouncements
) -> None:
    async def failing() -> bytes:
        raise UnavailableError("the store is away")

    with pytest.raises(UnavailableError):
        await settlement.settle(TICKET, failing)

    assert not record.kept
    assert not announcements.said

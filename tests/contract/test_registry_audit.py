"""The audit log over SQLite and PostgreSQL: in order, without gaps, unchangeable, and telling of changes."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

import pytest
from autoisp_core.errors import AlreadyExistsError
from autoisp_core.pagination import PageRequest
from autoisp_registry import audit, tables
from autoisp_registry.audit import AuditDraft
from autoisp_registry.audit.store import list_entries, read_after
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
ALL = PageRequest(1000, None)


@pytest.fixture
async def migrated(database: Database) -> Database:
    await migrate(database, "autoisp_registry.migrations")
    return database


def draft(resource: str = "models/m", request_id: str = "", **more: object) -> AuditDraft:
    return AuditDraft("ann", "alias.set", resource, "night is 2", {"to": "2"}, request_id=request_id, **more)  # type: ignore[arg-type]


async def add(database: Database, *drafts: AuditDraft) -> list[audit.AuditEntry]:
    async with database.transaction() as session:
        return [await audit.append(session, one, NOW) for one in drafts]


async def test_what_was_added_is_read_in_order_and_as_it_was(migrated: Database) -> None:
    full = draft(
        evaluation="evaluations/e", evidence_sha256="a" * 64, checks=("psnr: passed",), comment="why"
    )
    added = await add(migrated, full, draft("models/m/versions/2"), draft("models/other"))
    async with migrated.read() as session:
        assert (await list_entries(session, ALL)).items == tuple(added)
        assert (await list_entries(session, ALL, descending=True)).items == tuple(reversed(added))
        assert [entry.sequence for entry in await read_after(session, 1, 10)] == [2, 3]
        of_model = await list_entries(session, ALL, "models/m")
        of_version = await list_entries(session, ALL, "models/m/versions/2")
    assert [entry.sequence for entry in of_model.items] == [1, 2]
    assert [entry.sequence for entry in of_version.items] == [2]
    assert added[0].draft == full
    assert added[0].previous_sha256 == audit.FIRST_SHA256
    assert added[1].previous_sha256 == added[0].sha256


async def test_pages_end_before_a_message_is_full(migrated: Database) -> None:
    """A promotion has up to 100 lines of its gate: a thousand are more than gRPC takes at a time."""
    checks = tuple(f"metric_{number}: passed, {'9' * 500}" for number in range(100))
    added = await add(migrated, *(draft(checks=checks) for _ in range(100)))
    for descending in (False, True):
        found, token, pages = [], "", 0
        while not pages or token:
            async with migrated.read() as session:
                request = PageRequest.parse(1000, token)
                page = await list_entries(session, request, descending=descending)
            assert sum(len("".join(entry.draft.checks)) for entry in page.items) < 4 << 20
            found, token, pages = [*found, *page.items], page.next_page_token, pages + 1
        assert found == (added[::-1] if descending else added)
        assert pages == 2


async def test_many_writers_leave_no_gap_and_an_intact_chain(migrated: Database) -> None:
    await asyncio.gather(*(add(migrated, draft(f"models/m{i}"), draft("models/m")) for i in range(20)))
    async with migrated.read() as session:
        assert [entry.sequence for entry in await read_after(session, 0, 100)] == list(range(1, 41))
        assert await audit.verify(session) == (0, "")


async def test_a_key_is_taken_once_and_finds_its_entry(migrated: Database) -> None:
    first = (await add(migrated, draft(request_id="r")))[0]
    async with migrated.transaction() as session:
        with pytest.raises(AlreadyExistsError):
            await audit.append(session, draft("models/b", request_id="r"), NOW)
        await audit.append(session, draft("models/c"), NOW)
    async with migrated.read() as session:
        assert await audit.find_key(session, "alias.set/r") == first
        assert await audit.find_key(session, "alias.set/x") is None
        assert [entry.draft.resource for entry in await read_after(session, 1, 10)] == ["models/c"]


async def test_a_refusal_takes_no_key(migrated: Database) -> None:
    await add(migrated, draft(request_id="r", refused=True), draft(request_id="r", refused=True))
    done = (await add(migrated, draft(request_id="r")))[0]
    async with migrated.read() as session:
        assert await audit.find_key(session, "alias.set/r") == done


async def test_a_transaction_that_fails_leaves_no_entry(migrated: Database) -> None:
    async def fail() -> None:
        async with migrated.transaction() as session:
            await audit.append(session, draft(), NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert (await add(migrated, draft()))[0].sequence == 1


@pytest.mark.parametrize("statement", ["UPDATE audit SET resource = 'x'", "DELETE FROM audit"])
async def test_rows_can_t_be_changed(migrated: Database, statement: str) -> None:
    await add(migrated, draft())
    with pytest.raises(DBAPIError, match="append-only"):
        async with migrated.engine.begin() as connection:
            await connection.execute(text(statement))
    async with migrated.read() as session:
        assert await audit.verify(session) == (0, "")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET body = (SELECT body FROM audit WHERE sequence = 1) WHERE sequence = 2", 2),
        ("UPDATE audit SET sha256 = '{x}' WHERE sequence = 3", 3),
        ("DELETE FROM audit WHERE sequence = 2", 2),
        ("DELETE FROM audit WHERE sequence = 3", 3),
        ("UPDATE audit_head SET sha256 = '{x}'", 3),
        ("UPDATE audit SET body = {junk}, sha256 = '{junk_sha256}' WHERE sequence = 3", 3),
    ],
)
async def test_who_gets_around_the_triggers_is_found_out(
    migrated: Database, statement: str, broken: int
) -> None:
    await add(migrated, draft(), draft(), draft())
    off = (
        ["ALTER TABLE audit DISABLE TRIGGER ALL"]
        if migrated.dialect == "postgresql"
        else ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
    )
    junk = "CAST('\\x07' AS bytea)" if migrated.dialect == "postgresql" else "X'07'"
    filled = statement.format(x="f" * 64, junk=junk, junk_sha256=hashlib.sha256(b"\x07").hexdigest())
    async with migrated.engine.begin() as connection:
        for one in (*off, filled):
            await connection.execute(text(one))
    async with migrated.read() as session:
        sequence, problem = await audit.verify(session)
    assert sequence == broken
    assert problem


async def test_the_head_is_one_row(migrated: Database) -> None:
    async with migrated.read() as session:
        rows = (await session.execute(tables.audit_head.select())).all()
    assert [tuple(row) for row in rows] == [(1, 0, audit.FIRST_SHA256)]

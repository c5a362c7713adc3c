"""Evaluations in a database, and the messages that leave with their changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Generic, TypeVar

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError
from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from autoisp_runtime.outbox import Outbox, OutgoingMessage
from sqlalchemy import Row, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_evaluation import wire
from autoisp_evaluation.domain import ClipResult, Evaluation, Registration
from autoisp_evaluation.tables import clips as clip_rows
from autoisp_evaluation.tables import evaluations

_ITEM_BYTES = 8
"""Around one message in another."""

M_contra = TypeVar("M_contra", contravariant=True)


class SqlStore(Generic[M_contra]):
    """The store over SQLite or PostgreSQL.

    Args:
        database: migrated to the newest revision.
        outbox: of the same database.
        encode: gives the subject, payload and id of a message.
    """

    def __init__(
        self, database: Database, outbox: Outbox, encode: Callable[[M_contra], OutgoingMessage]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._encode = encode

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction[M_contra]]:
        """Commits at the end of the block, rolls back if it raises."""
        async with self._database.transaction() as session:
            yield SqlTransaction(session, self._outbox, self._encode)

    async def get(self, name: str) -> Evaluation | None:
        """The evaluation with all its results; None if there is none."""
        async with self._database.read() as session:
            return await _load(session, select(evaluations).where(evaluations.c.name == name))

    async def revision(self, name: str) -> int | None:
        """The evaluation's revision, without reading the rest of it; None if there is none."""
        statement = select(evaluations.c.revision).where(evaluations.c.name == name)
        async with self._database.read() as session:
            return (await session.execute(statement)).scalar_one_or_none()

    async def find(self, key: str) -> Evaluation | None:
        """The evaluation that was added under this idempotency key."""
        async with self._database.read() as session:
            return await _load(session, select(evaluations).where(evaluations.c.idempotency_key == key))

    async def list(self, page: PageRequest, search: str) -> Page[Evaluation]:
        """Evaluations without frames, oldest first; only those of ``search`` unless it is empty.

        A page ends early where it would not fit into a message.
        """
        statement = select(evaluations).order_by(evaluations.c.id).limit(page.size + 1)
        if search:
            statement = statement.where(evaluations.c.search == search)
        if page.after is not None:
            statement = statement.where(evaluations.c.id > _row_id(page.after))
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
            found: list[Evaluation] = []
            room = wire.GRPC_BYTES
            for row in rows[: page.size]:
                # One by one: with their frames, all of a page would fill the memory.
                item = _evaluation(row, (await _clips(session, [row.id]))[row.id]).without_frames()
                room -= wire.evaluation_to(item).ByteSize() + _ITEM_BYTES
                if room < 0 and found:
                    break
                found.append(item)
        keys = replace(page, size=len(found) or page.size).page(rows, lambda row: str(row.id))
        return Page(tuple(found), keys.next_page_token)


class SqlTransaction(Generic[M_contra]):
    """One transaction of :class:`SqlStore`."""

    def __init__(
        self, session: AsyncSession, outbox: Outbox, encode: Callable[[M_contra], OutgoingMessage]
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._encode = encode

    async def lock(self, name: str) -> int | None:
        """The evaluation's revision, which stays until the end of the transaction; None if there is none."""
        statement = select(evaluations.c.revision).where(evaluations.c.name == name).with_for_update()
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def add(self, evaluation: Evaluation, key: str | None) -> None:
        """Insert a new evaluation and its clips.

        Raises:
            AlreadyExistsError: its name or ``key`` is taken; the transaction stays usable.
        """
        registration = evaluation.registration or Registration("")
        row = {
            "name": evaluation.name,
            "idempotency_key": key,
            "search": evaluation.search,
            "revision": evaluation.revision,
            "body": _body(evaluation),
            "model": registration.model,
            "spec": registration.spec,
            "macs_per_pixel_limit": registration.macs_per_pixel_limit,
            "latency_ratio_goal": registration.latency_ratio_goal,
            "manifest": _manifest_row(evaluation.manifest),
        }
        insert = evaluations.insert().values(row).returning(evaluations.c.id)
        try:
            async with self._session.begin_nested():
                evaluation_id = (await self._session.execute(insert)).scalar_one()
        except IntegrityError as error:
            raise AlreadyExistsError(evaluation.name) from error
        rows = [
            {"evaluation_id": evaluation_id, "ordinal": ordinal, **_clip_row(clip)}
            for ordinal, clip in enumerate(evaluation.clips)
        ]
        if rows:
            await self._session.execute(clip_rows.insert(), rows)

    async def update(self, evaluation: Evaluation, clips: Collection[str]) -> None:
        """Write the evaluation, and the results of ``clips``."""
        update = (
            evaluations.update()
            .where(evaluations.c.name == evaluation.name)
            .values(revision=evaluation.revision, body=_body(evaluation))
            .returning(evaluations.c.id)
        )
        evaluation_id = (await self._session.execute(update)).scalar_one()
        for result in evaluation.clips:
            if result.clip in clips:
                await self._session.execute(
                    clip_rows.update()
                    .where(clip_rows.c.evaluation_id == evaluation_id, clip_rows.c.clip == result.clip)
                    .values(_clip_row(result))
                )

    async def send(self, message: M_contra) -> None:
        """Have the message delivered, at least once, after the commit."""
        outgoing = self._encode(message)
        await self._outbox.add(self._session, outgoing.subject, outgoing.payload, outgoing.event_id)


async def _load(session: AsyncSession, statement: Select[Any]) -> Evaluation | None:
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    return _evaluation(row, (await _clips(session, [row.id]))[row.id])


async def _clips(session: AsyncSession, ids: Sequence[int]) -> dict[int, list[ClipResult]]:
    found: dict[int, list[ClipResult]] = {evaluation_id: [] for evaluation_id in ids}
    statement = select(clip_rows).where(clip_rows.c.evaluation_id.in_(ids)).order_by(clip_rows.c.ordinal)
    for row in await session.execute(statement):
        message = evaluation_pb2.ClipResult.FromString(row.body)
        found[row.evaluation_id].append(wire.clip_result_from(message))
    return found


def _evaluation(row: Row[Any], results: Sequence[ClipResult]) -> Evaluation:
    registration = Registration(row.model, row.spec, row.macs_per_pixel_limit, row.latency_ratio_goal)
    return replace(
        wire.evaluation_from(evaluation_pb2.Evaluation.FromString(row.body)),
        clips=tuple(results),
        revision=row.revision,
        registration=registration if row.model else None,
        manifest=_manifest(row.manifest) if row.manifest is not None else None,
    )


def _manifest(stored: bytes) -> Artifact:
    return wire.artifact_from(common_pb2.Artifact.FromString(stored), "manifest")


def _manifest_row(manifest: Artifact | None) -> bytes | None:
    return wire.artifact_to(manifest).SerializeToString() if manifest else None


def _row_id(key: str) -> int:
    # Whoever forges a token can put anything into it.
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise InvalidArgumentError("page_token", "page_token is not one this list gave out; leave it empty")
    return int(key)


def _body(evaluation: Evaluation) -> bytes:
    return wire.evaluation_to(replace(evaluation, clips=())).SerializeToString()


def _clip_row(result: ClipResult) -> dict[str, Any]:
    return {"clip": result.clip, "body": wire.clip_result_to(result).SerializeToString()}

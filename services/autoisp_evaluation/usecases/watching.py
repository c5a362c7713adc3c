"""Following an evaluation while it is judged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from autoisp_core import names
from autoisp_core.errors import NotFoundError, UnavailableError

from autoisp_evaluation.domain import Evaluation
from autoisp_evaluation.usecases.changes import Changes
from autoisp_evaluation.usecases.live import Follower, LiveFrames, frames_of
from autoisp_evaluation.usecases.ports import Store

POLL_S = 1.0
"""How soon a watcher sees what another replica of this service recorded."""


class Watching:
    """The use cases of watchers. One instance serves all of a process.

    Args:
        store: keeps evaluations.
        changes: tells of changes that this process made.
        live: frames of running clips.
    """

    def __init__(self, store: Store, changes: Changes, live: LiveFrames) -> None:
        self._store = store
        self._changes = changes
        self._live = live

    async def watch(self, name: str) -> AsyncIterator[Evaluation]:
        """The evaluation now, again after each change, and last in its final state.

        Raises:
            InvalidArgumentError, NotFoundError: there is no such evaluation.
            UnavailableError: this process stops; watch again, somewhere else or later.
        """
        seen = 0
        with self._changes.watch(name) as changed:
            while True:
                changed.clear()
                evaluation = await self._since(name, seen)
                if evaluation is not None:
                    seen = evaluation.revision
                    yield evaluation
                    if evaluation.state.terminal:
                        return
                await self._change(name, changed)

    async def watch_frames(self, name: str) -> AsyncIterator[Evaluation]:
        """The evaluation now, then what has come since the item before, and last all in its final state.

        In between, clips hold only frames that were in no item before, and clips without news are left out.
        Whoever takes items slowly gets more in each; nothing queues up here.

        Raises:
            InvalidArgumentError, NotFoundError, UnavailableError: as :meth:`watch`.
        """
        with (
            self._changes.watch(name, frames_of(name)) as changed,
            self._live.follow(name) as follower,
        ):
            evaluation: Evaluation | None = None
            while True:
                changed.clear()
                newer = await self._since(name, evaluation.revision if evaluation else 0)
                item = self._item(follower, evaluation, newer)
                evaluation = newer or evaluation
                if item is not None:
                    yield item
                    if item.state.terminal:
                        return
                await self._change(name, changed)

    def stop(self) -> None:
        """End every watch with ``UnavailableError``, now and from now on."""
        self._changes.close()

    async def _since(self, name: str, revision: int) -> Evaluation | None:
        """The evaluation; None if it is still at that revision."""
        names.EVALUATION.parse(name)
        current = await self._store.revision(name)
        evaluation = await self._store.get(name) if current not in (None, revision) else None
        if current is None:
            raise NotFoundError(name)
        return None if evaluation is None else self._live.counted(evaluation)

    async def _change(self, name: str, changed: asyncio.Event) -> None:
        if self._changes.closed:
            raise UnavailableError(f"the server stops; watch {name} again when it is back")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await changed.wait()

    def _item(
        self, follower: Follower, before: Evaluation | None, newer: Evaluation | None
    ) -> Evaluation | None:
        """What a watcher of frames gets next; None: nothing."""
        if newer is not None and newer.state.terminal:
            return newer
        current = newer or before
        if current is None:
            return None
        counted = self._live.counted(current)
        return follower.snapshot(counted) if before is None else follower.news(counted)

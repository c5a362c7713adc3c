"""What the evaluation service does: start evaluations, take in their results, tell how they stand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from autoisp_core import ids, names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    AlreadyExistsError,
    AutoISPError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from autoisp_core.pagination import Page, PageRequest

from autoisp_evaluation import validation
from autoisp_evaluation.changes import Changes
from autoisp_evaluation.domain import (
    MODEL_LABEL,
    PROTOTYPE_LABEL,
    ClipResult,
    Entry,
    Evaluation,
    Failure,
    Prototype,
    Registration,
    Sensor,
    Split,
    State,
    Subject,
)
from autoisp_evaluation.ports import Artifacts, Datasets, EvaluationEnded, JudgeClip, Store, Transaction
from autoisp_evaluation.validation import Draft

_log = structlog.get_logger(__name__)

WATCH_POLL_S = 1.0
"""How soon a watcher sees what another replica of this service recorded."""


@dataclass(frozen=True)
class CompletedSearch:
    """What a search that succeeded asks to be judged."""

    search: str
    trial: str
    dataset: str
    manifest: Artifact
    prototype: Prototype
    onnx: Artifact
    sensor: Sensor
    seed: int
    frames_per_clip: int
    registration: Registration


class Evaluations:
    """The use cases. One instance serves all callers of a process.

    Args:
        store: keeps evaluations.
        datasets: reads the manifests that ingest wrote.
        artifacts: knows which bytes exist.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        datasets: Datasets,
        artifacts: Artifacts,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._datasets = datasets
        self._artifacts = artifacts
        self._now = now
        self._changes = Changes()

    async def create(self, draft: Draft, evaluation_id: str = "", request_id: str = "") -> Evaluation:
        """Start judging; returns at once, the results come clip by clip.

        Args:
            evaluation_id: becomes ``evaluations/{evaluation_id}``; made up if empty.
            request_id: the same one again returns the evaluation that it created.

        Raises:
            InvalidArgumentError: a field is wrong, or the split has no clips.
            NotFoundError: no such dataset or ONNX file; ``metadata["field"]`` says which.
            AlreadyExistsError: the id is taken.
        """
        validation.validate_request_id(request_id)
        key = f"request/{request_id}" if request_id else None
        if key and (existing := await self._store.find(key)):
            return existing
        if evaluation_id:
            ids.validate_user_id(evaluation_id, "evaluation_id")
        split = validation.validate(draft)
        entries = await self._entries(draft, split)
        await self._require_artifacts(draft.subjects)
        evaluation = Evaluation(
            name=names.evaluation_name(evaluation_id or ids.new_id()),
            dataset=draft.dataset,
            split=split,
            subjects=draft.subjects,
            sensor=draft.sensor,
            seed=draft.seed,
            frames_per_clip=draft.frames_per_clip,
            search=draft.search,
            trial=draft.trial,
            create_time=self._now(),
        )
        return await self._start(evaluation, entries, key)

    async def judge_search(self, search: CompletedSearch) -> Evaluation:
        """Judge a search's network against its prototype on the clips that the search never saw.

        Idempotent by search. What can't be judged becomes a failed evaluation, so that whoever waits for it
        gets an answer.
        """
        key = f"search/{search.search}"
        if existing := await self._store.find(key):
            return existing
        evaluation = Evaluation(
            name=names.evaluation_name(names.id_of(search.search)),
            dataset=search.dataset,
            split=Split.TEST,
            subjects=(Subject(PROTOTYPE_LABEL, search.prototype), Subject(MODEL_LABEL, search.onnx)),
            sensor=search.sensor,
            seed=search.seed,
            frames_per_clip=search.frames_per_clip,
            search=search.search,
            trial=search.trial,
            registration=search.registration,
            create_time=self._now(),
        )
        entries: Sequence[Entry] = ()
        try:
            entries = await self._datasets.entries(search.manifest, Split.TEST)
            if not entries:
                raise NotFoundError(
                    search.dataset, f"{search.dataset} has no test clips", reason="EMPTY_SPLIT"
                )
        except AutoISPError as error:
            if error.transient:
                raise
            evaluation = evaluation.failed(Failure(error.reason, error.message), self._now())
        else:
            evaluation = _fitting(evaluation, entries)
        try:
            return await self._start(evaluation, entries, key)
        except AlreadyExistsError:
            # A person has an evaluation of that name; the search's own must not be lost for it.
            other = f"{names.id_of(search.search)[:50]}-{ids.derived_id(search.search)[:8]}"
            return await self._start(replace(evaluation, name=names.evaluation_name(other)), entries, key)

    async def record(self, name: str, result: ClipResult) -> None:
        """Take in how one clip was judged; with the last one the evaluation ends. Idempotent per clip.

        Raises:
            NotFoundError: no such evaluation.
        """
        async with self._store.transaction() as transaction:
            evaluation = await transaction.get(name)
            if evaluation is None:
                raise NotFoundError(name)
            after = evaluation.judged(result, self._now())
            if after is None:
                _log.info("known already", evaluation=name, clip=result.clip)
                return
            await transaction.update(after, result.clip)
            if after.state.terminal:
                await transaction.send(EvaluationEnded(after))
        _log.info("clip judged", evaluation=name, clip=result.clip, state=after.state.value)
        self._changes.announce(name)

    async def get(self, name: str) -> Evaluation:
        """The evaluation with all results so far.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: no such evaluation.
        """
        names.EVALUATION.parse(name)
        evaluation = await self._store.get(name)
        if evaluation is None:
            raise NotFoundError(name)
        return evaluation

    async def list(self, page_size: int, page_token: str, search: str = "") -> Page[Evaluation]:
        """Evaluations without per-frame results, oldest first.

        Raises:
            InvalidArgumentError: ``page_size``, ``page_token`` or ``search``.
        """
        if search:
            names.SEARCH.parse(search, "search")
        return await self._store.list(PageRequest.parse(page_size, page_token, search), search)

    async def watch(self, name: str) -> AsyncIterator[Evaluation]:
        """The evaluation now, again after each change, and last in its final state.

        Raises:
            InvalidArgumentError, NotFoundError: as :meth:`get`.
            UnavailableError: this process stops; watch again, somewhere else or later.
        """
        seen = 0
        with self._changes.watch(name) as changed:
            while True:
                changed.clear()
                evaluation = await self.get(name)
                if evaluation.revision != seen:
                    seen = evaluation.revision
                    yield evaluation
                if evaluation.state.terminal:
                    return
                if self._changes.closed:
                    raise UnavailableError(f"the server stops; watch {name} again when it is back")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(WATCH_POLL_S):
                        await changed.wait()

    def stop_watches(self) -> None:
        """End every :meth:`watch` with ``UnavailableError``, now and from now on."""
        self._changes.close()

    async def _entries(self, draft: Draft, split: Split) -> Sequence[Entry]:
        try:
            manifest = await self._datasets.manifest(draft.dataset)
        except NotFoundError as error:
            raise NotFoundError(
                draft.dataset, error.message, reason=error.reason, metadata={"field": "evaluation.dataset"}
            ) from error
        entries = await self._datasets.entries(manifest, split)
        if not entries:
            raise InvalidArgumentError(
                "evaluation.split",
                f"{draft.dataset} has no clip in its {split.value} split; choose another split or dataset",
                reason="EMPTY_SPLIT",
            )
        counts = [entry.frame_count for entry in entries]
        validation.validate_size(counts, draft.frames_per_clip, len(draft.subjects))
        return entries

    async def _require_artifacts(self, subjects: Sequence[Subject]) -> None:
        for index, subject in enumerate(subjects):
            if subject.onnx is not None and not await self._artifacts.exists(subject.onnx):
                raise validation.missing_artifact(index, subject)

    async def _start(self, evaluation: Evaluation, entries: Sequence[Entry], key: str | None) -> Evaluation:
        clips = tuple(ClipResult(e.clip, e.display_name, State.RUNNING) for e in entries)
        evaluation = replace(evaluation, clips=() if evaluation.state.terminal else clips)
        try:
            async with self._store.transaction() as transaction:
                await transaction.add(evaluation, key)
                await self._announce_start(transaction, evaluation, entries)
        except AlreadyExistsError:
            # Perhaps the same request, a moment earlier.
            existing = await self._store.find(key) if key else None
            if existing is None:
                raise
            return existing
        _log.info("evaluation created", evaluation=evaluation.name, clips=len(evaluation.clips))
        return evaluation

    async def _announce_start(
        self, transaction: Transaction, evaluation: Evaluation, entries: Sequence[Entry]
    ) -> None:
        if evaluation.state.terminal:
            await transaction.send(EvaluationEnded(evaluation))
            return
        for entry in entries:
            await transaction.send(JudgeClip(evaluation, entry))


def _fitting(evaluation: Evaluation, entries: Sequence[Entry]) -> Evaluation:
    """Fewer frames per clip where the results would not fit: no search is lost for its test frames."""
    counts = [entry.frame_count for entry in entries]
    subjects = len(evaluation.subjects)
    if validation.fits(counts, evaluation.frames_per_clip, subjects):
        return evaluation
    return replace(evaluation, frames_per_clip=validation.largest_frames(counts, subjects))

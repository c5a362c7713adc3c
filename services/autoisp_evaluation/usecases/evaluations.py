"""Starting evaluations, taking in their results, ending and finding them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from autoisp_core import ids, names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    AlreadyExistsError,
    AutoISPError,
    InvalidArgumentError,
    NotFoundError,
)
from autoisp_core.pagination import Page, PageRequest

from autoisp_evaluation.domain import (
    ClipResult,
    Entry,
    Evaluation,
    Failure,
    ModelVersion,
    Split,
    State,
    Subject,
)
from autoisp_evaluation.usecases import validation
from autoisp_evaluation.usecases.changes import Changes
from autoisp_evaluation.usecases.live import LiveFrames
from autoisp_evaluation.usecases.ports import (
    Artifacts,
    Datasets,
    EvaluationCancelled,
    EvaluationEnded,
    JudgeClip,
    Records,
    Store,
    Transaction,
    Versions,
)
from autoisp_evaluation.usecases.searches import CompletedSearch, fitting, wanted_by
from autoisp_evaluation.usecases.sizes import Size
from autoisp_evaluation.usecases.validation import Draft

_log = structlog.get_logger(__name__)


class Evaluations:
    """The use cases. One instance serves all callers of a process.

    Args:
        store: keeps evaluations.
        datasets: reads the manifests that ingest wrote.
        artifacts: knows which bytes exist.
        versions: reads the versions that the registry wrote.
        records: keeps evaluations as they were when they ended.
        changes: hears of changes.
        live: knows of frames that have come.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        datasets: Datasets,
        artifacts: Artifacts,
        versions: Versions,
        records: Records,
        changes: Changes,
        live: LiveFrames,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._datasets = datasets
        self._artifacts = artifacts
        self._versions = versions
        self._records = records
        self._changes = changes
        self._live = live
        self._now = now

    async def create(self, draft: Draft, evaluation_id: str = "", request_id: str = "") -> Evaluation:
        """Start judging; returns at once, the results come clip by clip.

        Args:
            evaluation_id: becomes ``evaluations/{evaluation_id}``; made up if empty.
            request_id: the same one again returns the evaluation that it created.

        Raises:
            InvalidArgumentError: a field is wrong, or the split has no clips.
            NotFoundError: no such dataset, ONNX file or model version; ``metadata["field"]`` says which.
            AlreadyExistsError: the id is taken.
        """
        validation.validate_request_id(request_id)
        key = f"request/{request_id}" if request_id else None
        if key and (existing := await self._store.find(key)):
            return existing
        if evaluation_id:
            ids.validate_user_id(evaluation_id, "evaluation_id")
        split, metrics = validation.validate(draft), validation.wanted_metrics(draft)
        manifest, entries = await self._entries(draft, split, metrics)
        subjects = await self._found(draft.subjects)
        evaluation = Evaluation(
            name=names.evaluation_name(evaluation_id or ids.new_id()),
            dataset=draft.dataset,
            split=split,
            subjects=subjects,
            sensor=draft.sensor,
            seed=draft.seed,
            frames_per_clip=draft.frames_per_clip,
            search=draft.search,
            trial=draft.trial,
            metrics=metrics,
            gate=draft.gate,
            create_time=self._now(),
            manifest=manifest,
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
        evaluation = wanted_by(search, self._now())
        entries: Sequence[Entry] = ()
        try:
            evaluation = replace(evaluation, metrics=validation.metrics_of((), search.gate, "search.gate"))
            if search.gate and validation.temporal_metrics(search.gate):
                # Spread frames have no neighbours, so the gate could never pass.
                evaluation = replace(evaluation, frames_per_clip=0)
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
            evaluation = fitting(evaluation, entries)
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
        after = await self._changed(
            name, lambda evaluation: evaluation.judged(result, self._now()), lambda _: [result.clip]
        )
        if after is None:
            _log.info("known already", evaluation=name, clip=result.clip)
        else:
            _log.info("clip judged", evaluation=name, clip=result.clip, state=after.state.value)

    async def give_up(self, name: str, failure: Failure) -> None:
        """End an evaluation that can't be brought to its end. What has ended stays as it is.

        Raises:
            NotFoundError: no such evaluation.
        """
        await self._changed(
            name,
            lambda evaluation: None if evaluation.state.terminal else evaluation.failed(failure, self._now()),
            lambda evaluation: [c.clip for c in evaluation.clips if c.state is State.FAILED],
        )

    async def cancel(self, name: str) -> Evaluation:
        """Have nothing more judged; what was judged stays. What has ended stays as it is.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: no such evaluation.
        """
        names.EVALUATION.parse(name)
        after = await self._changed(
            name,
            lambda evaluation: evaluation.cancelled(self._now()),
            lambda evaluation: [c.clip for c in evaluation.clips if c.state is State.CANCELLED],
        )
        if after is not None:
            _log.info("evaluation cancelled", evaluation=name)
        return await self.get(name)

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
        return self._live.counted(evaluation)

    async def list(self, page_size: int, page_token: str, search: str = "") -> Page[Evaluation]:
        """Evaluations without per-frame results, oldest first.

        Raises:
            InvalidArgumentError: ``page_size``, ``page_token`` or ``search``.
        """
        if search:
            names.SEARCH.parse(search, "search")
        return await self._store.list(PageRequest.parse(page_size, page_token, search), search)

    async def _changed(
        self,
        name: str,
        change: Callable[[Evaluation], Evaluation | None],
        clips_of: Callable[[Evaluation], Collection[str]],
    ) -> Evaluation | None:
        """Make a change and tell of it, unless it is none.

        The change is worked out beside the event loop and outside of any transaction, since intervals of many
        frames take seconds; it is worked out again if another one came in between.
        """
        while True:
            before = await self._store.get(name)
            if before is None:
                raise NotFoundError(name)
            after = await asyncio.to_thread(change, before)
            if after is None:
                return None
            record = await self._records.put(after) if after.state is State.SUCCEEDED else None
            async with self._store.transaction() as transaction:
                if await transaction.lock(name) != before.revision:
                    continue
                await transaction.update(after, clips_of(after))
                if after.state is State.CANCELLED:
                    await transaction.send(EvaluationCancelled(after))
                elif after.state.terminal:
                    await transaction.send(EvaluationEnded(after, record))
            self._changes.announce(name)
            return after

    async def _entries(
        self, draft: Draft, split: Split, metrics: Sequence[str]
    ) -> tuple[Artifact, Sequence[Entry]]:
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
        Size(counts, len(draft.subjects), len(metrics)).require(draft.frames_per_clip)
        validation.require_neighbours(draft, counts)
        return manifest, entries

    async def _found(self, subjects: Sequence[Subject]) -> tuple[Subject, ...]:
        """The subjects, with the files of model versions, all of which are in the store."""
        found = []
        for index, subject in enumerate(subjects):
            if isinstance(subject.source, ModelVersion):
                version = subject.source.name
                try:
                    onnx = await self._versions.onnx(version)
                except NotFoundError as error:
                    raise validation.missing_version(index, version, error) from error
                subject = replace(subject, source=ModelVersion(version, onnx))
            if subject.onnx is not None and not await self._artifacts.exists(subject.onnx):
                raise validation.missing_artifact(index, subject)
            found.append(subject)
        return tuple(found)

    async def _start(self, evaluation: Evaluation, entries: Sequence[Entry], key: str | None) -> Evaluation:
        clips = tuple(
            ClipResult(e.clip, e.display_name, State.RUNNING, frames_wanted=_wanted(evaluation, e))
            for e in entries
        )
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


def _wanted(evaluation: Evaluation, entry: Entry) -> int:
    frames = min(entry.frame_count, evaluation.frames_per_clip or entry.frame_count)
    return len(evaluation.subjects) * frames

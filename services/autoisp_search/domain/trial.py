"""A trial: one spec trained at one fidelity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from autoisp_core.artifact import Artifact
from autoisp_core.names import trial_name

from autoisp_search.domain.states import TrialState, require_trial_move
from autoisp_search.domain.values import Failure, MeasuredCost, Quality


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How a trial ended, as its worker tells it. ``state`` is final."""

    state: TrialState
    cost: MeasuredCost | None = None
    quality: Quality | None = None
    failure: Failure | None = None
    onnx: Artifact | None = None
    checkpoint: Artifact | None = None
    steps: int = 0
    train_seconds: float = 0.0
    worker: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """One spec at one rung.

    Attributes:
        trial_id: ``r<rung>-<ordinal:04d>``: asking again for the same trial gives the same name.
        ordinal: position in its rung, from 1.
        parent: trial id at the rung below that this one continues; empty at the first rung.
        inherits_from: full name of the trial of another spec whose weights this one starts from; empty: none.
        told: position among the finished trials of the search, from 1; None until then. A strategy is rebuilt
            by telling it the results in this order.
        told_before: how many trials of the search had ended when this one was asked for. With ``told`` it
            says what a strategy knew at each of its choices.
        predicted_seconds_per_megapixel: what the spec was expected to take before it was measured; None if it
            was promoted: then it had been.
        seconds: of training, where it is the trial's own and not its rung's; None otherwise.
        heard: when its worker last gave a sign of life.
        revision: revision of the search at the trial's last change.
    """

    search_id: str
    rung: int
    ordinal: int
    spec: str
    spec_hash: str
    create_time: datetime
    parent: str = ""
    inherits_from: str = ""
    state: TrialState = TrialState.QUEUED
    cost: MeasuredCost | None = None
    quality: Quality | None = None
    failure: Failure | None = None
    onnx: Artifact | None = None
    checkpoint: Artifact | None = None
    progress: float = 0.0
    steps: int = 0
    train_seconds: float = 0.0
    worker: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    told: int | None = None
    told_before: int = 0
    predicted_seconds_per_megapixel: float | None = None
    seconds: float | None = None
    heard: datetime | None = None
    revision: int = 0

    @property
    def trial_id(self) -> str:
        return f"r{self.rung}-{self.ordinal:04d}"

    @property
    def name(self) -> str:
        return trial_name(self.search_id, self.trial_id)

    @property
    def busy_seconds(self) -> float:
        """How long its worker was busy with it; 0 if unknown."""
        if self.start_time is None or self.end_time is None:
            return 0.0
        return max(0.0, (self.end_time - self.start_time).total_seconds())

    def reported(self, worker: str, progress: float, steps: int, now: datetime) -> Trial:
        """Running, and so far. The progress never goes back, but a redelivered trial's steps may.

        Raises:
            FailedPreconditionError: it has ended already.
        """
        if self.state is not TrialState.RUNNING:
            self._require(TrialState.RUNNING)
        return replace(
            self,
            state=TrialState.RUNNING,
            worker=worker,
            progress=max(self.progress, min(1.0, progress)),
            steps=steps,
            start_time=self.start_time or now,
            heard=now,
        )

    def completed(self, result: TrialResult, told: int, now: datetime) -> Trial:
        """Ended as ``result`` says.

        Raises:
            FailedPreconditionError: it has ended already.
        """
        self._require(result.state)
        return replace(
            self,
            state=result.state,
            cost=result.cost,
            quality=result.quality,
            failure=result.failure,
            onnx=result.onnx,
            checkpoint=result.checkpoint,
            steps=result.steps,
            train_seconds=result.train_seconds,
            worker=result.worker or self.worker,
            progress=1.0 if result.state is TrialState.SUCCEEDED else self.progress,
            start_time=result.start_time or self.start_time or now,
            end_time=result.end_time or now,
            told=told,
        )

    def cancelled(self, now: datetime) -> Trial:
        """Given up.

        Raises:
            FailedPreconditionError: it has ended already.
        """
        self._require(TrialState.CANCELLED)
        return replace(self, state=TrialState.CANCELLED, end_time=now)

    def at(self, revision: int) -> Trial:
        """As of this revision of the search."""
        return replace(self, revision=revision)

    def _require(self, target: TrialState) -> None:
        require_trial_move(self.name, self.state, target)

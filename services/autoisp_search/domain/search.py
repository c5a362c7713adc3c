"""A search and the states it goes through."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from autoisp_core.artifact import Artifact
from autoisp_core.names import search_name

from autoisp_search.domain.settings import Rung, SearchSettings
from autoisp_search.domain.states import SearchState, require_search_move
from autoisp_search.domain.values import Failure, PrototypeProfile

OPAQUE_MARGIN = 0.9
"""Share of an opaque prototype's time budget that candidates may use: timings scatter, and the final
measurement, prototype and network interleaved, must still show the reduction that was asked for."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search.

    Attributes:
        manifest: the dataset as workers see it, at the time of creation.
        rungs: the plan in force; follows the clock while ``adaptive``.
        adaptive: whether the plan follows the clock.
        request_id: of the create request; empty if it had none.
        rung: 0-based, the highest that any trial has reached.
        told: how many trials have ended with a result.
        revision: counts the changes of the search and its trials.
        pareto_trials, best_trial: trial ids.
        strategy_figures: what the strategy tells of itself, and how well latency was predicted.
    """

    search_id: str
    settings: SearchSettings
    manifest: Artifact
    rungs: tuple[Rung, ...]
    adaptive: bool
    create_time: datetime
    request_id: str = ""
    state: SearchState = SearchState.PROFILING
    failure: Failure | None = None
    profile: PrototypeProfile | None = None
    macs_limit: float | None = None
    seconds_limit: float | None = None
    rung: int = 0
    told: int = 0
    revision: int = 1
    pareto_trials: tuple[str, ...] = ()
    best_trial: str = ""
    strategy_figures: dict[str, float] = field(default_factory=dict)
    start_time: datetime | None = None
    end_time: datetime | None = None

    @property
    def name(self) -> str:
        return search_name(self.search_id)

    @property
    def planned_trials(self) -> int:
        """How many trials the plan has in all."""
        return sum(rung.trials for rung in self.rungs)

    def changed(self) -> Search:
        """The next revision."""
        return replace(self, revision=self.revision + 1)

    def profiled(self, profile: PrototypeProfile, now: datetime) -> Search:
        """Running, with the budget in absolute terms.

        A reduction is taken of the prototype's MAC where they can be counted, else of its time. Raw for a
        prototype that can't be told a colour matrix is synthesised without one: colour then decides nothing.
        """
        self._require(SearchState.RUNNING)
        settings = self.settings
        if "ccm" not in profile.inputs:
            settings = replace(settings, sensor=replace(settings.sensor, identity_ccm=True))
        macs_limit, seconds_limit = settings.budget.macs_per_pixel, None
        if settings.budget.reduction is not None:
            if profile.cost.macs_per_pixel is not None:
                macs_limit = profile.cost.macs_per_pixel / settings.budget.reduction
            else:
                seconds_limit = profile.cost.seconds_per_megapixel / settings.budget.reduction * OPAQUE_MARGIN
        return replace(
            self,
            state=SearchState.RUNNING,
            settings=settings,
            profile=profile,
            macs_limit=macs_limit,
            seconds_limit=seconds_limit,
            start_time=now,
        )

    def succeeded(self, best_trial: str, now: datetime) -> Search:
        """Ended, with a network to hand over."""
        self._require(SearchState.SUCCEEDED)
        return replace(self, state=SearchState.SUCCEEDED, best_trial=best_trial, end_time=now)

    def failed(self, failure: Failure, now: datetime) -> Search:
        """Ended without one."""
        self._require(SearchState.FAILED)
        return replace(self, state=SearchState.FAILED, failure=failure, end_time=now)

    def cancelled(self, now: datetime) -> Search:
        """Ended because somebody asked."""
        self._require(SearchState.CANCELLED)
        return replace(self, state=SearchState.CANCELLED, end_time=now)

    def _require(self, target: SearchState) -> None:
        require_search_move(self.name, self.state, target)

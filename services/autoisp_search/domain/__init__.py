"""What a search and its trials are, and which states they may go through. Plain data, no I/O."""

from autoisp_search.domain.messages import (
    Inheritance,
    Outgoing,
    ProfilePrototype,
    RunTrial,
    SearchCancelled,
    SearchCompleted,
    SearchView,
)
from autoisp_search.domain.objectives import Objective
from autoisp_search.domain.search import Search
from autoisp_search.domain.seeds import trial_seed, validation_seed
from autoisp_search.domain.settings import Budget, Prototype, Rung, SearchSettings, Sensor
from autoisp_search.domain.states import SearchState, TrialState
from autoisp_search.domain.trial import Trial, TrialResult
from autoisp_search.domain.values import (
    Failure,
    Lessons,
    MeasuredCost,
    PrototypeProfile,
    Quality,
    TrialCounts,
)

__all__ = [
    "Budget",
    "Failure",
    "Inheritance",
    "Lessons",
    "MeasuredCost",
    "Objective",
    "Outgoing",
    "ProfilePrototype",
    "Prototype",
    "PrototypeProfile",
    "Quality",
    "RunTrial",
    "Rung",
    "Search",
    "SearchCancelled",
    "SearchCompleted",
    "SearchSettings",
    "SearchState",
    "SearchView",
    "Sensor",
    "Trial",
    "TrialCounts",
    "TrialResult",
    "TrialState",
    "trial_seed",
    "validation_seed",
]

"""What a search says to others, written in the same transaction as the change that causes it."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.artifact import Artifact

from autoisp_search.domain.search import Search
from autoisp_search.domain.settings import Rung
from autoisp_search.domain.trial import Trial
from autoisp_search.domain.values import TrialCounts


@dataclass(frozen=True, slots=True)
class SearchView:
    """A search and where its trials stand."""

    search: Search
    counts: TrialCounts


@dataclass(frozen=True, slots=True)
class ProfilePrototype:
    """Command: measure the prototype of this search."""

    search: Search


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The trained network of another spec that a trial takes weights from."""

    spec: str
    checkpoint: Artifact


@dataclass(frozen=True, slots=True)
class RunTrial:
    """Command: train this trial so much, from its own or from another one's weights if there are any."""

    search: Search
    trial: Trial
    fidelity: Rung
    initial_checkpoint: Artifact | None = None
    inheritance: Inheritance | None = None


@dataclass(frozen=True, slots=True)
class SearchCompleted:
    """Event: there is a network to judge and register."""

    view: SearchView
    best_trial: Trial


@dataclass(frozen=True, slots=True)
class SearchCancelled:
    """Event: nobody wants the trials of this search any more."""

    search: Search


Outgoing = ProfilePrototype | RunTrial | SearchCompleted | SearchCancelled

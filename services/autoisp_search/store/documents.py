"""Searches and trials as JSON, and back. Fields added later take their defaults in old documents."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from autoisp_search.domain import Search, Trial

_SEARCH = TypeAdapter(Search)
_TRIAL = TypeAdapter(Trial)


def search_document(search: Search) -> Any:
    """JSON of a search."""
    return _SEARCH.dump_python(search, mode="json")


def search_from(document: Any) -> Search:
    """The search in a document."""
    return _SEARCH.validate_python(document)


def trial_document(trial: Trial) -> Any:
    """JSON of a trial."""
    return _TRIAL.dump_python(trial, mode="json")


def trial_from(document: Any) -> Trial:
    """The trial in a document."""
    return _TRIAL.validate_python(document)

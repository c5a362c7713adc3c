"""Seeds of everything random, derived from the search's seed."""

from __future__ import annotations

import hashlib

from autoisp_search.domain.search import Search
from autoisp_search.domain.trial import Trial


def validation_seed(search: Search) -> int:
    """Seed of the validation noise: the same for the prototype and every trial."""
    return _seed(search, "validation")


def trial_seed(search: Search, trial: Trial) -> int:
    """Seed of a trial's weights and patches."""
    return _seed(search, trial.trial_id)


def _seed(search: Search, purpose: str) -> int:
    digest = hashlib.sha256(f"{search.settings.seed}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1  # 31 bits: what any generator takes

"""How many searches and trials there are, for metrics."""

from __future__ import annotations

from autoisp_runtime.database import Database
from autoisp_runtime.telemetry import metrics
from sqlalchemy import func, select

from autoisp_search.domain import SearchState, TrialState
from autoisp_search.store.tables import searches, trials

_UNFINISHED = tuple(state.value for state in SearchState if not state.final)


async def sample_states(database: Database) -> None:
    """Bring the metrics up to date. Trials of ended searches are not counted: there may be millions.

    Raises:
        UnavailableError: the database is away.
    """
    of_searches = select(searches.c.state, func.count()).group_by(searches.c.state)
    of_trials = (
        select(trials.c.state, func.count())
        .join(searches, searches.c.search_id == trials.c.search_id)
        .where(searches.c.state.in_(_UNFINISHED))
        .group_by(trials.c.state)
    )
    async with database.read() as session:
        searches_by_state: dict[str, int] = dict((await session.execute(of_searches)).tuples().all())
        trials_by_state: dict[str, int] = dict((await session.execute(of_trials)).tuples().all())
    for search_state in SearchState:
        metrics.SEARCHES.labels(search_state.value).set(searches_by_state.get(search_state.value, 0))
    for trial_state in TrialState:
        metrics.TRIALS.labels(trial_state.value).set(trials_by_state.get(trial_state.value, 0))

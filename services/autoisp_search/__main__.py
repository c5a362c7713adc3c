"""``python -m autoisp_search``: the composition root."""

from __future__ import annotations

from datetime import UTC, datetime

from autoisp.search.v1.search_pb2_grpc import add_SearchServiceServicer_to_server
from autoisp_runtime.jetstream.topology import SEARCH_RESULTS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime, Tables

from autoisp_search.api import SearchServicer
from autoisp_search.bus import OutboxSender, ResultConsumer
from autoisp_search.config import SearchConfig
from autoisp_search.datasets import StoredDatasets
from autoisp_search.resumption import Resumption
from autoisp_search.store import SqlSearchStore, outbox
from autoisp_search.store.figures import sample_states
from autoisp_search.usecases import Changes, LiveSearches, ResultHandlers, Searches


def now() -> datetime:
    """The time, with time zone."""
    return datetime.now(UTC)


async def build(runtime: Runtime[SearchConfig]) -> None:
    """Wire the service."""
    store = SqlSearchStore(runtime.database, OutboxSender(runtime.outbox))
    changes, live = Changes(), LiveSearches()
    runtime.on_stopping(changes.close)
    searches = Searches(store, StoredDatasets(runtime.artifacts), live, changes, now)
    results = ResultHandlers(store, live, changes, now)
    runtime.serve(add_SearchServiceServicer_to_server, SearchServicer(searches, store, changes))
    consumer = ResultConsumer(results)
    runtime.consume(SEARCH_RESULTS, consumer, batch=16, patient=True, on_dead_letter=consumer.bury)
    runtime.sample(lambda: sample_states(runtime.database))
    resumption = Resumption(results, runtime.nats)
    runtime.nats.on_reconnect(resumption.look_again)
    runtime.spawn("resume", resumption.start())


if __name__ == "__main__":
    run_service(SearchConfig, build, tables=Tables("autoisp_search.migrations", outbox))

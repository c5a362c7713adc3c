"""Wires the rollouts into the registry's process."""

from __future__ import annotations

from typing import Any

from autoisp.registry.v1 import rollouts_pb2_grpc
from autoisp_runtime.jetstream import Event
from autoisp_runtime.runtime import Runtime

from autoisp_registry.rollouts.api import RolloutServicer
from autoisp_registry.rollouts.store import RolloutStore
from autoisp_registry.rollouts.usecases import Board, Channels, OutcomeRecorder, Rollouts, sweep
from autoisp_registry.rollouts.wire import answer_to


async def serve_rollouts(runtime: Runtime[Any]) -> None:
    """Offer ``RolloutService``, with every channel in memory before the first call."""
    store = RolloutStore(runtime.database, runtime.outbox)
    board = Board(store, answer_to)
    await board.load()
    outcomes = OutcomeRecorder(store, board)
    servicer = RolloutServicer(Channels(store, board), Rollouts(store, board), board, outcomes)
    runtime.serve(
        rollouts_pb2_grpc.add_RolloutServiceServicer_to_server,
        servicer,
        quiet=("ResolveModel", "BatchResolveModels", "ReportOutcome"),
    )
    runtime.spawn("writing what devices report", outcomes.run())
    runtime.spawn("keeping channels in memory", board.follow())
    runtime.spawn("deleting old reports", sweep(store))
    for event in (Event.CHANNEL_CHANGED, Event.MODEL_CHANGED):
        runtime.listen(event, board.wake)

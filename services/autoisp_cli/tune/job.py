"""The main job: footage and prototype in, network and report out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoisp.search.v1 import search_pb2
from autoisp_client import Client
from autoisp_core.errors import AutoISPError, ResourceExhaustedError

from autoisp_cli import pictures
from autoisp_cli.access import local_tls
from autoisp_cli.local import LocalStack
from autoisp_cli.report import Outcome, write_report
from autoisp_cli.tune import collect, faults
from autoisp_cli.tune.choices import choices
from autoisp_cli.tune.follow import follow
from autoisp_cli.tune.footage import find_clips, separate
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.tune.prepare import Prepared, prepare
from autoisp_cli.tune.progress import SearchProgress
from autoisp_cli.tune.sensor_profile import with_profile
from autoisp_cli.views import View

Check = Callable[[], None]

_PATIENCE_SECONDS = 30.0
"""A service that is started again is back by then."""


def tune(
    options: TuneOptions, view: View, *, server: str | None, state: Path, workers: int
) -> dict[str, Any]:
    """Runs the job and writes the report; returns the figures of ``result.json``.

    Args:
        server: where the services are; None starts them here, in ``state``, with so many ``workers``.

    Raises:
        AutoISPError: any input is wrong, or a part of the job failed.
    """
    start = time.monotonic()
    training, test = separate(find_clips(options.footage, "--footage"), options.test)
    _check_writable(options.out)
    with view, _services(view, server, state, workers) as (client, check):
        try:
            options = with_profile(client, options)
            prepared = prepare(client, options, training, test, view)
            settings = choices(options, prepared, local=server is None)
            view.plan(settings)
            progress = _watch(client, prepared, view, check)
            outcome = _outcome(client, options, prepared, progress, view, check)
            view.stage("report")
            figures = write_report(
                replace(outcome, settings=settings, seconds=time.monotonic() - start), options.out
            )
            view.result(figures, options.out)
            return figures
        except AutoISPError as error:
            view.error(error)
            # A call may have failed because a local part is dead; then that is the better answer.
            check()
            raise


@contextmanager
def _services(view: View, server: str | None, state: Path, workers: int) -> Iterator[tuple[Client, Check]]:
    if server is not None:
        with Client(server, patience=_PATIENCE_SECONDS) as client:
            # Fails at once, and not after half a minute, if nobody is there at all.
            with Client(server, patience=0.0) as probe:
                next(probe.list_searches(page_size=1), None)
            yield client, lambda: None
        return
    view.stage("start", f"{workers} worker{'s' if workers != 1 else ''}, state in {state}")
    with (
        LocalStack(state, workers) as stack,
        Client(stack.endpoints, patience=_PATIENCE_SECONDS, tls=local_tls()) as client,
    ):

        def check() -> None:
            for note in stack.notes():
                view.note(note)
            stack.check()

        yield client, check


def _watch(client: Client, prepared: Prepared, view: View, check: Check) -> SearchProgress:
    progress = SearchProgress(prepared.search)
    stage = ""
    for update in follow(client.watch_search(prepared.search.name), check):
        ended = progress.apply(update) if update is not None else None
        search = progress.search
        if search.state == search_pb2.SEARCH_STATE_PROFILING and not stage:
            stage = "profile"
            view.stage(stage)
        elif search.state != search_pb2.SEARCH_STATE_PROFILING and stage != "search":
            stage = "search"
            view.stage(stage)
            if search.HasField("prototype_profile"):
                view.profiled(search)
        view.search(progress, ended)
    search = progress.search
    if search.state == search_pb2.SEARCH_STATE_FAILED:
        raise faults.search_failure(search.name, search.failure, before_trials=not progress.trials)
    if search.state == search_pb2.SEARCH_STATE_CANCELLED:
        raise faults.cancelled(search.name)
    return progress


def _outcome(
    client: Client,
    options: TuneOptions,
    prepared: Prepared,
    progress: SearchProgress,
    view: View,
    check: Check,
) -> Outcome:
    view.stage("evaluate")
    evaluation = collect.evaluation_of(client, progress.search, view, check)
    view.stage("register")
    version = collect.version_of(client, progress.search, check)
    for clip in evaluation.clips:
        # The name in this run's footage; the clip may have come under another before.
        clip.display_name = prepared.names.get(clip.clip, clip.display_name)
    return Outcome(
        search=client.get_search(progress.search.name),
        trials=list(client.list_trials(progress.search.name, page_size=1000)),
        evaluation=evaluation,
        version=version,
        dataset=prepared.dataset,
        clips=prepared.clips,
        pictures=pictures.fetch(client, (p for clip in evaluation.clips for p in clip.pictures), view.note),
        inputs=collect.network_of(client, version, options.out),
        command=options.command,
        resumed=prepared.resumed,
    )


def _check_writable(folder: Path) -> None:
    """Before minutes of work, and not after them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(bytes(1 << 20))
            probe.flush()
    except OSError as error:
        raise ResourceExhaustedError(
            f"--out {folder}: can't write there: {error.strerror}; free some space or choose another folder",
            reason="DISK",
            metadata={"field": "--out"},
        ) from error

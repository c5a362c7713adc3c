"""``autoisp searches``: what was searched, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from autoisp.search.v1 import search_pb2
from autoisp_client import Client
from autoisp_core.names import id_of

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    client_for,
    full_name,
    show_list,
    show_one,
    state_name,
    time_text,
)
from autoisp_cli.report.figures import number
from autoisp_cli.tune import training_words
from autoisp_cli.tune.plan_words import rungs_text
from autoisp_cli.views.words import (
    budget_text,
    cost_text,
    figures_text,
    lessons_text,
    objectives_text,
    space_text,
    spec_text,
    trial_line,
)

_MOST_OF_FRONT = 20

app = typer.Typer(help="Searches and their trials.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="SEARCH", help="searches/ID, or just the ID.")]


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List searches."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda search: search.name,
            "STATE": _state,
            "STRATEGY": lambda search: search.strategy,
            "OBJECTIVES": objectives_text,
            "TRIALS": lambda search: search.trial_counts.succeeded,
            "FRONT": lambda search: len(search.pareto_trials),
            "BEST": lambda search: id_of(search.best_trial) if search.best_trial else "",
            "CREATED": lambda search: time_text(search, "create_time"),
        }
        show_list(client.list_searches(), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one search."""
    with client_for(server, state) as client:
        search = client.get_search(full_name("searches", name))
        counts, profile = search.trial_counts, search.prototype_profile
        profiled = search.HasField("prototype_profile")
        rows = [
            ("name", search.name),
            ("state", _state(search)),
            ("failure", search.failure.message),
            ("dataset", search.dataset),
            (
                "prototype",
                f"{profile.quality.psnr_db:.2f} dB, {cost_text(profile.cost)}" if profiled else "",
            ),
            ("lessons", lessons_text(profile)),
            ("budget", budget_text(search) if profiled else ""),
            ("strategy", f"{search.strategy}, seed {search.seed}"),
            ("objectives", objectives_text(search)),
            ("space", space_text(search.space)),
            ("training", training_words.summary(search.training)),
            ("warm start", ", ".join(search.warm_start)),
            ("rungs", rungs_text(search)),
            ("trials", f"{counts.succeeded} done, {counts.running} running, {counts.pruned} pruned"),
            ("strategy tells", figures_text(search.strategy_figures)),
            *_front(client, search),
            ("best", search.best_trial),
            ("model", search.model),
            ("created", time_text(search, "create_time")),
            ("ended", time_text(search, "end_time")),
        ]
        show_one(search, [row for row in rows if row[1]], as_json=json)


@app.command("trials")
def trials_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List a search's trials."""
    with client_for(server, state) as client:
        search = full_name("searches", name)
        front = set(client.get_search(search).pareto_trials)
        columns = {
            "TRIAL": lambda trial: id_of(trial.name),
            "RUNG": lambda trial: trial.rung + 1,
            "STATE": lambda trial: state_name(search_pb2.TrialState, trial.state),
            "PSNR": lambda trial: f"{trial.quality.psnr_db:.2f}" if trial.quality.psnr_db else "",
            "MAC/PX": lambda trial: number(trial.cost.macs_per_pixel or None),
            "MS/MP": lambda trial: number(trial.cost.seconds_per_megapixel * 1e3 or None),
            "FRONT": lambda trial: "◆" if trial.name in front else "",
            "NETWORK": spec_text,
        }
        show_list(client.list_trials(search), columns, as_json=json, limit=limit)


@app.command("cancel")
def cancel_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Cancel a search; running trials end at their next step."""
    with client_for(server, state) as client:
        search = client.cancel_search(full_name("searches", name))
        show_one(search, [("name", search.name), ("state", _state(search))], as_json=json)


def _state(search: search_pb2.Search) -> str:
    return state_name(search_pb2.SearchState, search.state)


def _front(client: Client, search: search_pb2.Search) -> Iterator[tuple[str, str]]:
    """A row for each network of the front so far, cheapest first, up to :data:`_MOST_OF_FRONT`."""
    names = search.pareto_trials
    for place, name in enumerate(names[:_MOST_OF_FRONT]):
        yield ("" if place else "front", trial_line(client.get_trial(name)))
    if len(names) > _MOST_OF_FRONT:
        yield "", f"and {len(names) - _MOST_OF_FRONT} more: autoisp searches trials {id_of(search.name)}"

"""``autoisp tune``: the main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from autoisp_cli.commands.common import DEFAULT_STATE, JsonOption, ServerOption, StateOption, WorkersOption
from autoisp_cli.local import default_workers
from autoisp_cli.tune.job import tune
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.views import choose_view


def tune_command(
    footage: Annotated[
        list[str],
        typer.Option(
            "--footage", metavar="PATH…", help="Videos, folders of frames, or folders or globs of them."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where the report and the network go.")
    ] = Path("report"),
    prototype: Annotated[
        str, typer.Option("--prototype", help="builtin:classical or onnx:FILE.")
    ] = "builtin:classical",
    reduction: Annotated[
        float | None, typer.Option("--reduction", metavar="N", help="Budget: the prototype's cost / N.")
    ] = None,
    budget_macs: Annotated[
        float | None, typer.Option("--budget-macs", metavar="N", help="Budget: MAC per output pixel.")
    ] = None,
    test: Annotated[
        list[str],
        typer.Option(
            "--test", metavar="PATH…", help="Unseen clips: paths, or names of clips in the footage."
        ),
    ] = [],  # noqa: B006 - typer copies it
    sensor: Annotated[
        str, typer.Option("--sensor", help="builtin:phone, a TOML file or sensorProfiles/ID.")
    ] = "builtin:phone",
    noise: Annotated[
        str | None, typer.Option("--noise", metavar="SHOT,READ", help="Fixed test noise, as variances.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", metavar="M", help="Training time in all; 5, unless --trials sets the size."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            "--trials", metavar="N", help="Networks to try at most; with --minutes, what fits into both."
        ),
    ] = None,
    rung: Annotated[
        list[str],
        typer.Option(
            "--rung", metavar="NxT", help="A rung of one's own, such as 8x20s or 8x500steps; repeat."
        ),
    ] = [],  # noqa: B006 - typer copies it
    strategy: Annotated[
        str, typer.Option("--strategy", metavar="NAME", help="Who proposes networks; a wrong name lists all.")
    ] = "",
    objectives: Annotated[
        str | None,
        typer.Option(
            "--objectives",
            metavar="NAMES",
            help="quality: the best network within the budget. quality,macs or quality,latency: a front.",
        ),
    ] = None,
    warm_start: Annotated[
        list[str],
        typer.Option(
            "--warm-start", metavar="SEARCH…", help="Ended searches over the same footage to learn from."
        ),
    ] = [],  # noqa: B006 - typer copies it
    space: Annotated[
        Path | None,
        typer.Option("--space", metavar="FILE", help="Networks to choose from, as JSON; see space.md."),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option("--augment", metavar="KIND", help="off, random or adversarial camera operations."),
    ] = None,
    distill: Annotated[
        float | None,
        typer.Option(
            "--distill",
            metavar="W",
            help="Weight of the prototype's pictures against the truth, 0 to 1; by default they teach where "
            "there is no truth.",
        ),
    ] = None,
    distill_features: Annotated[
        str | None,
        typer.Option(
            "--distill-features", metavar="NAME:W", help="Learn a tensor of the ONNX prototype too."
        ),
    ] = None,
    inherit: Annotated[
        bool | None,
        typer.Option(
            "--inherit/--no-inherit", help="Start each network from the nearest trained one's weights."
        ),
    ] = None,
    workers: WorkersOption = None,
    state: StateOption = DEFAULT_STATE,
    server: ServerOption = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="ID", help="Model to register under.")
    ] = None,
    test_frames: Annotated[
        str | None,
        typer.Option("--test-frames", metavar="N|all", help="Frames per test clip; 24 by default."),
    ] = None,
    gate: Annotated[
        Path | None,
        typer.Option("--gate", metavar="FILE", help="What the network must reach on unseen clips, as TOML."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find a network that does the prototype's job at a fraction of its cost, and prove it on unseen clips.

    The same command again goes on with an unfinished search, or shows a finished one.
    """
    # How many workers a server has, only the server knows: 0 leaves the choice to it.
    count = workers or (0 if server else default_workers())
    options = TuneOptions(
        footage=footage,
        out=out,
        prototype=prototype,
        reduction=reduction,
        budget_macs=budget_macs,
        test=test,
        sensor=sensor,
        noise=noise,
        seed=seed,
        minutes=minutes,
        trials=trials,
        rungs=rung,
        strategy=strategy,
        objectives=objectives,
        warm_start=warm_start,
        space=space,
        augment=augment,
        distill=distill,
        distill_features=distill_features,
        inherit=inherit,
        model=model,
        test_frames=test_frames,
        gate=gate,
        max_parallel_trials=count,
        command=shlex.join(["autoisp", *sys.argv[1:]]),
    )
    run(options, server=server, state=state, workers=count, json=json)


def run(options: TuneOptions, *, server: str | None, state: Path, workers: int, json: bool) -> dict[str, Any]:
    """Runs the job in the view that fits; ends the command with code 1 if the result did not pass.

    Raises:
        AutoISPError: what :func:`autoisp_cli.tune.job.tune` raises.
    """
    try:
        figures = tune(options, choose_view(json=json), server=server, state=state, workers=workers)
    except KeyboardInterrupt:
        goes_on = "the search goes on at the server; " if server else ""
        print(f"{goes_on}run the same command again to go on with it", file=sys.stderr)
        raise
    if not figures["passed"]:
        raise typer.Exit(1)
    return figures

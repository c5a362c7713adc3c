"""The plan of a search in words: how long, how many trials, how long each, and how many to the end."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp.search.v1 import search_pb2

from autoisp_cli.choice import Choice
from autoisp_cli.report.figures import duration, figure
from autoisp_cli.tune.options import TuneOptions


def choices(options: TuneOptions, search: search_pb2.Search) -> Iterator[Choice]:
    """Time, trials, fidelities and finalists, as the service planned them or the user gave them."""
    rungs = list(search.rungs)
    if options.rungs:
        yield Choice("Rungs", rungs_text(search), option="--rung")
        return
    timed = search.HasField("max_duration")
    if timed:
        total = duration(search.max_duration.ToMilliseconds() / 1000)
        yield Choice("Time", total, "" if options.minutes else "the default", "--minutes")
    else:
        yield Choice("Time", "as long as the trials take", "from the number of trials", "--minutes")
    if not rungs:
        return
    first, last = rungs[0], rungs[-1]
    if not timed:
        yield Choice("Trials", str(first.trials), option="--trials")
    else:
        # With the clock the service begins with the plan and goes by what the trials really take.
        most = f", at most {search.max_trials}" if search.max_trials else ""
        yield Choice(
            "Trials",
            f"about {first.trials}{most}",
            "what the first part of the time allows",
            "--trials",
        )
    looks = ", then ".join(effort_text(rung) for rung in rungs)
    yield Choice("Fidelities", f"{looks} of training", "a short look at many, a long one at few", "--rung")
    if len(rungs) > 1:
        ways = " → ".join(str(rung.trials) for rung in rungs)
        yield Choice("Promotion", ways, "each as soon as it has earned it; nobody waits for a rung", "--rung")
        why = (
            "one for each worker"
            if last.trials == search.max_parallel_trials
            else "the fewer, the longer each"
        )
        when = "for the time that is left" if timed else f"for {effort_text(last)}"
        yield Choice("Finalists", f"{last.trials}, {when}", why, "--rung")


def rungs_text(search: search_pb2.Search) -> str:
    """``16 × 12 s, then 4 × 27 s``."""
    return ", then ".join(f"{rung.trials} × {effort_text(rung)}" for rung in search.rungs)


def effort_text(rung: search_pb2.Rung) -> str:
    """``500 steps`` or ``12 s``."""
    return f"{rung.steps:,} steps" if rung.HasField("steps") else f"{figure(rung.seconds)} s"

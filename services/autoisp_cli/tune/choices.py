"""Every choice of a run in words, the automatic ones included, and how to make it differently."""

from __future__ import annotations

from autoisp.ingest.v1 import ingest_pb2
from autoisp.search.v1 import search_pb2

from autoisp_cli.report.figures import duration, number
from autoisp_cli.tune import splits
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.tune.prepare import Prepared


def choices(options: TuneOptions, prepared: Prepared, workers: str) -> dict[str, str]:
    """Name to value, in the order to show them."""
    search, parts = prepared.search, prepared.dataset.clips
    automatic = "" if options.test else "  (the last by name; --test chooses)"
    return {
        "Train": splits.describe(parts, prepared.names, ingest_pb2.SPLIT_TRAIN),
        "Validate": splits.describe(parts, prepared.names, ingest_pb2.SPLIT_VALIDATION),
        "Unseen test": splits.describe(parts, prepared.names, ingest_pb2.SPLIT_TEST) + automatic,
        "Prototype": options.prototype,
        "Budget": _budget(options),
        "Sensor": options.sensor,
        "Test noise": _noise(search, options),
        "Training": _training(search, options),
        "Strategy": f"{search.strategy}, seed {search.seed}",
        "Workers": workers,
        "Search": search.name + (" (resumed)" if prepared.resumed else ""),
        "Model": search.model,
        "Report": str(options.out),
    }


def _budget(options: TuneOptions) -> str:
    if options.reduction is not None:
        return f"1/{options.reduction:g} of the prototype's cost"
    return f"{number(options.budget_macs)} MAC per output pixel"


def _noise(search: search_pb2.Search, options: TuneOptions) -> str:
    if not search.sensor.HasField("test_noise"):
        return "over the sensor's range  (--noise SHOT,READ fixes it)"
    return f"shot {search.sensor.test_noise.shot:g}, read {search.sensor.test_noise.read:g}"


def _training(search: search_pb2.Search, options: TuneOptions) -> str:
    total = duration(search.max_duration.ToMilliseconds() / 1000)
    rungs = [
        f"{rung.trials} × " + (f"{rung.steps:,} steps" if rung.steps else f"{rung.seconds:.3g} s")
        for rung in search.rungs
    ]
    planned = ", then ".join(rungs)
    return planned if options.rungs else f"{total}: {planned}"

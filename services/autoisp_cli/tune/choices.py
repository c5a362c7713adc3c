"""Every choice of a run in words, the automatic ones with their reason, and what makes it differently."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp.ingest.v1 import ingest_pb2
from autoisp.search.v1 import search_pb2

from autoisp_cli.choice import Choice
from autoisp_cli.local import default_workers
from autoisp_cli.report.figures import number
from autoisp_cli.tune import plan_words, splits, training_words
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.tune.prepare import Prepared
from autoisp_cli.views.words import objectives_text, space_text


def choices(options: TuneOptions, prepared: Prepared, *, local: bool) -> list[Choice]:
    """In the order to show them.

    Args:
        local: the workers were started here, so that their number is known.
    """
    return [
        *_footage(options, prepared),
        *_job(options, prepared.search),
        *_search(options, prepared.search, local=local),
        *_output(options, prepared),
    ]


def _footage(options: TuneOptions, prepared: Prepared) -> Iterator[Choice]:
    def part(use: ingest_pb2.Split.ValueType) -> str:
        return splits.describe(prepared.dataset.clips, prepared.names, use)

    yield Choice("Train", part(ingest_pb2.SPLIT_TRAIN), option="--footage")
    yield Choice("Validate", part(ingest_pb2.SPLIT_VALIDATION), "frames that no trial trains on")
    by_name = "" if options.test else "the last by name"
    yield Choice("Unseen test", part(ingest_pb2.SPLIT_TEST), by_name, "--test")


def _job(options: TuneOptions, search: search_pb2.Search) -> Iterator[Choice]:
    yield Choice("Prototype", options.prototype, option="--prototype")
    if options.reduction is not None:
        yield Choice("Budget", f"1/{options.reduction:g} of the prototype's cost", option="--reduction")
    else:
        yield Choice("Budget", f"{number(options.budget_macs)} MAC per output pixel", option="--budget-macs")
    if options.gate is not None:
        yield Choice("Gate", str(options.gate), option="--gate")
    yield Choice("Sensor", options.sensor, option="--sensor")
    if search.sensor.HasField("test_noise"):
        noise = search.sensor.test_noise
        yield Choice("Test noise", f"shot {noise.shot:g}, read {noise.read:g}", option="--noise")
    else:
        yield Choice("Test noise", "over the sensor's range", "the default", "--noise")


def _search(options: TuneOptions, search: search_pb2.Search, *, local: bool) -> Iterator[Choice]:
    yield Choice("Strategy", search.strategy, "" if options.strategy else "the default", "--strategy")
    why = "" if options.objectives else "the one best network within the budget"
    yield Choice("Objectives", objectives_text(search), why, "--objectives")
    yield from plan_words.choices(options, search)
    at_once = str(search.max_parallel_trials)
    if local:
        why = "one for each core" if search.max_parallel_trials == default_workers() else ""
        yield Choice("Workers", at_once, why, "--workers")
    else:
        yield Choice("Trials at once", at_once, "a server's workers can't be counted from here", "--workers")
    why = f"from {options.space}" if options.space else "the default"
    yield Choice("Space", space_text(search.space), why, "--space")
    yield from training_words.choices(options, search)
    earlier = ", ".join(search.warm_start)
    yield Choice("Warm start", earlier or "none", "" if earlier else "the default", "--warm-start")
    yield Choice("Seed", str(search.seed), option="--seed")


def _output(options: TuneOptions, prepared: Prepared) -> Iterator[Choice]:
    search = prepared.search
    why = "an earlier run of this command began it" if prepared.resumed else "named by what was asked"
    yield Choice("Search", search.name, why)
    yield Choice("Model", search.model, "" if options.model else "named like the search", "--model")
    yield Choice("Report", str(options.out), option="--out")

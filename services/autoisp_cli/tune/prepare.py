"""From options to a running search: footage uploaded, dataset made, search created or found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import Client, search_ended
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError

from autoisp_cli.tune import collect, identity, splits
from autoisp_cli.tune.faults import in_options
from autoisp_cli.tune.footage import Source
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.views import View

_MOST_ATTEMPTS = 100


@dataclass(frozen=True)
class Prepared:
    """What the job goes on with.

    Attributes:
        names: clip to the name that the user knows it by.
        resumed: an earlier run began the search, and perhaps ended it.
    """

    dataset: ingest_pb2.Dataset
    clips: Mapping[str, ingest_pb2.Clip]
    names: dict[str, str]
    search: search_pb2.Search
    resumed: bool


def prepare(
    client: Client, options: TuneOptions, training: Sequence[Source], test: Sequence[Source], view: View
) -> Prepared:
    """Uploads, groups and starts; everything that exists already is used as it is."""
    with in_options():
        prototype = _prototype(client, options)
        check_settings(client, search_message(options, prototype))
    seen = upload(client, "--test" if options.test else "--footage", test, view)
    learnt = upload(client, "--footage", training, view)
    for name in set(learnt) & set(seen):
        view.note(
            f"{learnt[name].display_name} has the same bytes as a test clip and is left out of training"
        )
        del learnt[name]
    view.stage("upload", f"{len(learnt) + len(seen)} clips")
    with in_options():
        parts = splits.split(list(learnt.values()), list(seen.values()))
        dataset = make_dataset(client, parts)
        wanted = search_message(options, prototype, dataset.name)
        search, resumed = start_search(client, wanted)
    clips = {**learnt, **seen}
    names = {name: clip.display_name for name, clip in clips.items()}
    return Prepared(dataset, clips, names, search, resumed)


def upload(client: Client, option: str, sources: Sequence[Source], view: View) -> dict[str, ingest_pb2.Clip]:
    """Uploads the clips; the same bytes twice are one clip."""
    clips: dict[str, ingest_pb2.Clip] = {}
    for source in sources:
        view.stage("upload", source.name)
        with in_options(f"{option} {source.path}"):
            clip = client.upload_clip(
                source.path, display_name=source.name, on_progress=partial(view.upload, source.name)
            )
        # An earlier upload of the same bytes may have had another name.
        clip.display_name = source.name
        clips.setdefault(clip.name, clip)
    return clips


def make_dataset(client: Client, parts: Sequence[ingest_pb2.DatasetClip]) -> ingest_pb2.Dataset:
    """The dataset of these parts: there already, or created."""
    identifier = identity.dataset_id(parts)
    try:
        return client.create_dataset(parts, dataset_id=identifier, request_id=identifier)
    except AlreadyExistsError:
        return client.get_dataset(f"datasets/{identifier}")


def check_settings(client: Client, search: search_pb2.Search) -> None:
    """Has the service look at everything but the footage, before that is uploaded, which may take long.

    Raises:
        InvalidArgumentError: a setting is wrong; the service knows all strategies and objectives.
    """
    try:
        client.validate_search(search)
    except (InvalidArgumentError, NotFoundError) as error:
        # It has no dataset yet, and that is asked for once the rest is right.
        if error.metadata.get("field") != "search.dataset":
            raise


def search_message(
    options: TuneOptions, prototype: prototype_pb2.Prototype, dataset: str = ""
) -> search_pb2.Search:
    """The search that the options ask for; what they leave open is left to the service."""
    search = search_pb2.Search(
        dataset=dataset,
        prototype=prototype,
        sensor=options.sensor_message(),
        strategy=options.strategy,
        seed=options.seed,
        objectives=options.objective_names(),
        rungs=options.explicit_rungs(),
        max_trials=options.trials or 0,
        warm_start=options.warm_start_names(),
        space=options.space_message(),
        training=options.training_message(),
        gate=options.gate_text(),
        max_parallel_trials=options.max_parallel_trials,
        model=f"models/{options.model}" if options.model else "",
    )
    if options.minutes is not None:
        search.max_duration.FromMilliseconds(round(options.minutes * 60_000))
    if options.reduction is not None:
        search.budget.reduction = options.reduction
    if options.budget_macs is not None:
        search.budget.macs_per_pixel = options.budget_macs
    frames = options.test_frames_per_clip()
    if frames is not None:
        search.test_frames_per_clip = frames
    return search


def start_search(client: Client, wanted: search_pb2.Search) -> tuple[search_pb2.Search, bool]:
    """The search for these inputs, and whether an earlier run began it.

    One that failed or was cancelled, or whose evaluation failed, stays as it is, and another attempt begins.
    """
    for attempt in range(1, _MOST_ATTEMPTS):
        identifier = identity.search_id(wanted, attempt)
        try:
            found = client.get_search(f"searches/{identifier}")
        except NotFoundError:
            break
        if not _is_spent(client, found):
            return found, True
    return client.create_search(wanted, search_id=identifier, request_id=identifier), False


def _is_spent(client: Client, search: search_pb2.Search) -> bool:
    """Whether nothing can come of the search any more."""
    if search.state != search_pb2.SEARCH_STATE_SUCCEEDED:
        return search_ended(search)
    evaluation = collect.find_evaluation(client, search)
    return evaluation is not None and evaluation.state == evaluation_pb2.EVALUATION_STATE_FAILED


def _prototype(client: Client, options: TuneOptions) -> prototype_pb2.Prototype:
    source = options.prototype_source()
    if isinstance(source, str):
        return prototype_pb2.Prototype(builtin=source)
    with in_options("--prototype"):
        return prototype_pb2.Prototype(onnx=client.upload_artifact(source))

"""A job's identity on the bus and in the store, from the names in its command."""

from __future__ import annotations

from autoisp_core import names
from autoisp_runtime.jetstream import Event, event_subject

from autoisp_worker.results import clip_key, conversion_key, profile_key, trial_key
from autoisp_worker.usecases import Ticket


def profile_ticket(search: str) -> Ticket:
    """Of the profile of a search's prototype."""
    return _ticket(profile_key(search), Event.PROTOTYPE_PROFILED, *names.SEARCH.parse(search, "search"))


def trial_ticket(trial: str) -> Ticket:
    """Of a trial."""
    return _ticket(trial_key(trial), Event.TRIAL_COMPLETED, *names.TRIAL.parse(trial, "trial"))


def clip_ticket(evaluation: str, clip: str) -> Ticket:
    """Of one clip of an evaluation."""
    return _ticket(clip_key(evaluation, clip), Event.EVALUATION_CLIP_JUDGED, *_clip_ids(evaluation, clip))


def conversion_ticket(model_version: str, conversion_id: str) -> Ticket:
    """Of one request to convert a model version; another request is another event of the same version."""
    version = "-".join(names.MODEL_VERSION.parse(model_version, "model_version"))
    event = Event.MODEL_VERSION_CONVERTED
    return Ticket(
        conversion_key(model_version, conversion_id),
        event_subject(event, version),
        f"{event.value}.{version}.{conversion_id}",
    )


def report_subject(trial: str) -> str:
    """Where a running trial gives signs of life."""
    return event_subject(Event.TRIAL_REPORTED, "-".join(names.TRIAL.parse(trial, "trial")))


def frames_subject(evaluation: str, clip: str) -> str:
    """Where frames of a clip that is being judged are told."""
    return event_subject(Event.EVALUATION_FRAMES_JUDGED, "-".join(_clip_ids(evaluation, clip)))


def _clip_ids(evaluation: str, clip: str) -> tuple[str, ...]:
    return (*names.EVALUATION.parse(evaluation, "evaluation"), *names.CLIP.parse(clip, "clip"))


def _ticket(key: str, event: Event, *ids: str) -> Ticket:
    resource = "-".join(ids)
    return Ticket(key, event_subject(event, resource), f"{event.value}.{resource}")

"""What a worker leaves behind under keys: results, written once, and checkpoints, written over and over."""

from __future__ import annotations

from autoisp_core import names
from autoisp_runtime.artifacts import ArtifactStore


class Results:
    """Results of jobs in the artifact store, one per key, written once.

    All methods block.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def get(self, key: str) -> bytes | None:
        """What was recorded under ``key``, or None."""
        return self._store.get_result(key)

    def record(self, key: str, payload: bytes) -> bytes:
        """Record ``payload`` unless somebody was faster; returns what is recorded now.

        Two workers may run the same job when one of them lost its connection for longer than the ack wait.
        Both then tell the world the same result.
        """
        if self._store.put_result(key, payload):
            return payload
        return self._store.get_result(key) or payload


class Checkpoints:
    """The newest checkpoint of each running trial. All methods block."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def load(self, trial: str) -> bytes | None:
        """The checkpoint of ``searches/{s}/trials/{t}``, or None."""
        return self._store.get_result(_checkpoint_key(trial))

    def save(self, trial: str, data: bytes) -> None:
        """Replace the trial's checkpoint; a reader sees the old one or the new one."""
        self._store.put_result(_checkpoint_key(trial), data, overwrite=True)

    def delete(self, trial: str) -> None:
        """Forget the trial's checkpoint, if there is one."""
        self._store.delete_result(_checkpoint_key(trial))


def profile_key(search: str) -> str:
    """Key of the profile of a search's prototype."""
    (search_id,) = names.SEARCH.parse(search, "search")
    return f"prototypes/{search_id}"


def trial_key(trial: str) -> str:
    """Key of a trial's result."""
    return "trials/" + "/".join(names.TRIAL.parse(trial, "trial"))


def clip_key(evaluation: str, clip: str) -> str:
    """Key of an evaluation's result on one clip."""
    (evaluation_id,) = names.EVALUATION.parse(evaluation, "evaluation")
    (clip_id,) = names.CLIP.parse(clip, "clip")
    return f"evaluations/{evaluation_id}/{clip_id}"


def conversion_key(model_version: str, conversion_id: str) -> str:
    """Key of what came of one request to convert a version; the id is good for a path."""
    return "/".join(
        ("conversions", *names.MODEL_VERSION.parse(model_version, "model_version"), conversion_id)
    )


def _checkpoint_key(trial: str) -> str:
    return "checkpoints/" + "/".join(names.TRIAL.parse(trial, "trial"))

"""Resource names, as in the Google AIPs: ``searches/{search}/trials/{trial}``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autoisp_core.errors import InvalidArgumentError

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Pattern:
    """The shape of one kind of resource name: collections, each followed by one id.

    >>> TRIAL.format("s-1", "t-2")
    'searches/s-1/trials/t-2'
    >>> TRIAL.parse("searches/s-1/trials/t-2")
    ('s-1', 't-2')
    """

    collections: tuple[str, ...]

    def __str__(self) -> str:
        return "/".join(f"{collection}/{{{_singular(collection)}}}" for collection in self.collections)

    def format(self, *ids: str) -> str:
        """The name with these ids.

        Raises:
            InvalidArgumentError: an id is empty or has characters that a name can't have.
            TypeError: the number of ids is wrong (a bug of the caller).
        """
        if len(ids) != len(self.collections):
            raise TypeError(f"{self} takes {len(self.collections)} ids, got {len(ids)}")
        for collection, value in zip(self.collections, ids, strict=True):
            if not _SEGMENT.fullmatch(value):
                raise InvalidArgumentError(
                    f"{_singular(collection)}_id",
                    f"{value!r} can't be part of a name; use 1 to 63 lowercase letters, digits or '-'",
                    reason="INVALID_NAME",
                )
        return "/".join(f"{c}/{i}" for c, i in zip(self.collections, ids, strict=True))

    def parse(self, name: str, field: str = "name") -> tuple[str, ...]:
        """The ids in ``name``, outermost first.

        Raises:
            InvalidArgumentError: naming ``field``, when ``name`` has another shape.
        """
        ids = self.match(name)
        if ids is None:
            raise InvalidArgumentError(
                field, f"{field} {name!r} is not a name of the form {self}", reason="INVALID_NAME"
            )
        return ids

    def match(self, name: str) -> tuple[str, ...] | None:
        """As :meth:`parse`, but None when ``name`` has another shape."""
        segments = name.split("/")
        if len(segments) != 2 * len(self.collections) or tuple(segments[::2]) != self.collections:
            return None
        ids = tuple(segments[1::2])
        return ids if all(_SEGMENT.fullmatch(i) for i in ids) else None


def _singular(collection: str) -> str:
    return {"searches": "search"}.get(collection, collection.removesuffix("s"))


CLIP = Pattern(("clips",))
DATASET = Pattern(("datasets",))
SEARCH = Pattern(("searches",))
TRIAL = Pattern(("searches", "trials"))
EVALUATION = Pattern(("evaluations",))
MODEL = Pattern(("models",))
MODEL_VERSION = Pattern(("models", "versions"))
PRODUCT = Pattern(("products",))
CHANNEL = Pattern(("products", "channels"))
SENSOR_PROFILE = Pattern(("sensorProfiles",))
SENSOR_PROFILE_VERSION = Pattern(("sensorProfiles", "versions"))


def clip_name(clip_id: str) -> str:
    """``clips/{clip}``"""
    return CLIP.format(clip_id)


def dataset_name(dataset_id: str) -> str:
    """``datasets/{dataset}``"""
    return DATASET.format(dataset_id)


def search_name(search_id: str) -> str:
    """``searches/{search}``"""
    return SEARCH.format(search_id)


def trial_name(search_id: str, trial_id: str) -> str:
    """``searches/{search}/trials/{trial}``"""
    return TRIAL.format(search_id, trial_id)


def evaluation_name(evaluation_id: str) -> str:
    """``evaluations/{evaluation}``"""
    return EVALUATION.format(evaluation_id)


def model_name(model_id: str) -> str:
    """``models/{model}``"""
    return MODEL.format(model_id)


def model_version_name(model_id: str, version_id: str) -> str:
    """``models/{model}/versions/{version}``"""
    return MODEL_VERSION.format(model_id, version_id)


def channel_name(product_id: str, channel_id: str) -> str:
    """``products/{product}/channels/{channel}``"""
    return CHANNEL.format(product_id, channel_id)


def sensor_profile_name(profile_id: str) -> str:
    """``sensorProfiles/{sensorProfile}``"""
    return SENSOR_PROFILE.format(profile_id)


def sensor_profile_version_name(profile_id: str, version_id: str) -> str:
    """``sensorProfiles/{sensorProfile}/versions/{version}``"""
    return SENSOR_PROFILE_VERSION.format(profile_id, version_id)


def id_of(name: str) -> str:
    """The last id of any resource name, for example the part of a subject that says whom it is about.

    >>> id_of("searches/s-1/trials/t-2")
    't-2'
    """
    return name.rsplit("/", 1)[-1]

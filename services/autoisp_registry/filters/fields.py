"""What can be filtered by, and of which kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from autoisp_core.quality.figures import COSTS


class Kind(Enum):
    """What a field's values are."""

    TEXT = "text"
    NUMBER = "a number"
    TIME = "a time"
    FLAG = "true or false"


@dataclass(frozen=True)
class Field:
    """A field that can be compared.

    Attributes:
        name: as people write it, with its key: ``metrics.psnr``.
        several: whether it can have more than one value.
        values: all that it can be, if that is a short list.
    """

    name: str
    kind: Kind
    several: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fields:
    """The fields of one list.

    Attributes:
        plain: by name.
        maps: by the name before the dot, the kind of what is behind it.
        keys: of those maps that have a fixed set of keys.
        orders: names that lists can be ordered by; maps of numbers can be, too.
    """

    plain: Mapping[str, Field]
    maps: Mapping[str, Kind]
    keys: Mapping[str, tuple[str, ...]]
    orders: tuple[str, ...]

    def find(self, name: str) -> Field | None:
        """The field of this name; None if there is none."""
        prefix, dot, key = name.partition(".")
        if dot and key and prefix in self.maps and key in self.keys.get(prefix, (key,)):
            return Field(name, self.maps[prefix])
        return self.plain.get(name)

    def sortable(self, name: str) -> Field | None:
        """The field of this name, if a list can be ordered by it."""
        field = self.find(name)
        of_map = field is not None and name not in self.plain and field.kind is Kind.NUMBER
        return field if of_map or name in self.orders else None

    @property
    def known(self) -> str:
        """All names, for messages."""
        maps = (
            f"{name}.{{{', '.join(self.keys[name])}}}" if name in self.keys else f"{name}.NAME"
            for name in self.maps
        )
        return ", ".join((*self.plain, *maps))


def _fields(fields: tuple[Field, ...], maps: Mapping[str, Kind], orders: tuple[str, ...]) -> Fields:
    keys = {name: tuple(COSTS) for name in maps if name == "cost"}
    return Fields({field.name: field for field in fields}, maps, keys, orders)


CONVERSIONS = ("running", "succeeded", "failed")

VERSION_FIELDS = _fields(
    (
        Field("name", Kind.TEXT),
        Field("model", Kind.TEXT),
        Field("number", Kind.NUMBER),
        Field("create_time", Kind.TIME),
        Field("alias", Kind.TEXT, several=True),
        Field("passed", Kind.FLAG),
        Field("conversion", Kind.TEXT, values=CONVERSIONS),
        Field("format", Kind.TEXT, several=True),
        *(Field(f"lineage.{part}", Kind.TEXT) for part in ("dataset", "search", "trial", "evaluation")),
    ),
    {"metrics": Kind.NUMBER, "cost": Kind.NUMBER, "tags": Kind.TEXT},
    ("create_time",),
)

MODEL_FIELDS = _fields(
    (
        Field("name", Kind.TEXT),
        Field("display_name", Kind.TEXT),
        Field("create_time", Kind.TIME),
        Field("update_time", Kind.TIME),
        Field("latest_version", Kind.NUMBER),
        Field("alias", Kind.TEXT, several=True),
    ),
    {"tags": Kind.TEXT},
    ("name", "create_time", "update_time"),
)

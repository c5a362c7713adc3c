"""Reading a table of TOML that anybody may have written: every value has a type and a range."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from autoisp_core.errors import InvalidArgumentError

D = TypeVar("D")

_TEXT_CHARS = 200
_MOST = 1e30
_MOST_ENTRIES = 500


@dataclass(frozen=True, slots=True)
class Table:
    """A table; each method gives one key's value, or the default where the key is left out.

    All raise InvalidArgumentError, which names `field`, the key and the fix.

    Attributes:
        values: by key.
        where: what the table is, for messages.
        field: what errors name.
    """

    values: Mapping[str, Any]
    where: str
    field: str

    def wrong(self, key: str, fix: str) -> InvalidArgumentError:
        """The error about a key's value."""
        return InvalidArgumentError(self.field, f"{key} of {self.where}: {fix}")

    def known(self, keys: Collection[str]) -> None:
        """Refuses other keys than these."""
        if unknown := sorted(set(self.values) - set(keys)):
            raise InvalidArgumentError(
                self.field,
                f"{self.where} has an unknown key {unknown[0][:50]!r}; it can have {', '.join(keys)}",
            )

    def text(self, key: str, default: str | None = None) -> str:
        """A text; needed if there is no default."""
        if key not in self.values and default is not None:
            return default
        value = self.values.get(key)
        if not isinstance(value, str) or not 1 <= len(value) <= _TEXT_CHARS or not value.isprintable():
            raise self.wrong(key, f"write a text of 1 to {_TEXT_CHARS} characters on one line")
        return value

    def texts(self, key: str, default: D) -> tuple[str, ...] | D:
        """A list of texts."""
        if key not in self.values:
            return default
        return tuple(Table({key: value}, self.where, self.field).text(key) for value in self._list(key))

    def choices(self, key: str, allowed: Collection[str], default: D) -> tuple[str, ...] | D:
        """A list of some of the allowed texts."""
        chosen = self.texts(key, None)
        if chosen is None:
            return default
        for value in chosen:
            if value not in allowed:
                raise self.wrong(key, f"{value[:50]!r} is none of {', '.join(allowed)}")
        return chosen

    def choice(self, key: str, allowed: Collection[str], default: str) -> str:
        """One of the allowed texts."""
        value = self.values.get(key, default)
        if value not in list(allowed):
            raise self.wrong(key, f"choose from {', '.join(map(repr, map(str, allowed)))}")
        return str(value)

    def truth(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "write true or false")
        return value

    def whole(self, key: str, least: int, most: int, default: D) -> int | D:
        """A whole number in a range."""
        if key not in self.values:
            return default
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(key, f"write a whole number from {least} to {most}")
        return value

    def wholes(self, key: str, least: int, most: int) -> tuple[int, ...] | None:
        """A list of whole numbers in a range; None if left out."""
        if key not in self.values:
            return None
        each = (Table({key: value}, self.where, self.field) for value in self._list(key))
        return tuple(one.whole(key, least, most, least) for one in each)

    def positive(self, key: str) -> float:
        """A number above 0, which is needed."""
        value = self.values.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < _MOST:
            raise self.wrong(key, "write a number above 0")
        return float(value)

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """The tables in a table, by key."""
        for name, values in self.table(key).values.items():
            if not isinstance(values, dict):
                raise self.wrong(key, f"write a table for each, as in [{key}.Conv]")
            yield name, Table(values, f"[{key}.{name[:50]}]", self.field)

    def table(self, key: str) -> Table:
        """The table of a key; empty if left out."""
        values = self.values.get(key, {})
        if not isinstance(values, dict) or len(values) > _MOST_ENTRIES:
            raise self.wrong(key, f"write a table of at most {_MOST_ENTRIES} entries: [{key}]")
        return Table(values, f"[{key}]", self.field)

    def _list(self, key: str) -> list[Any]:
        value = self.values[key]
        if not isinstance(value, list) or not 1 <= len(value) <= _MOST_ENTRIES:
            raise self.wrong(key, f"write a list of 1 to {_MOST_ENTRIES} entries, in brackets")
        return value

"""Reading tables of parsed TOML or JSON so that every mistake is answered with the key and the fix."""

import sys
from collections.abc import Mapping
from typing import Any

from autoisp_core.errors import InvalidArgumentError

Range = tuple[float, float]


class Section:
    """One table of a profile: takes keys by name and knows which were never asked for."""

    def __init__(self, field: str, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise InvalidArgumentError(field, f"{field} must be a table of keys, not {type(data).__name__}")
        self._field = field
        self._data = dict(data)
        self._known: list[str] = []

    def take(self, key: str, default: Any = ...) -> Any:
        self._known.append(key)
        value = self._data.pop(key, default)
        if value is ...:
            raise InvalidArgumentError(f"{self._field}.{key}", f"{self._field}.{key} is missing: add it")
        return value

    def number(self, key: str, default: Any = ...) -> float:
        return numbers(f"{self._field}.{key}", [self.take(key, default)], 1)[0]

    def text(self, key: str, default: Any = ...) -> str:
        value = self.take(key, default)
        if not isinstance(value, str):
            raise InvalidArgumentError(f"{self._field}.{key}", f"{self._field}.{key} must be a text")
        return value

    def close(self) -> None:
        if self._data:
            key = sorted(self._data)[0]
            raise InvalidArgumentError(
                f"{self._field}.{key}",
                f"{self._field} has no key '{key}': the keys are {', '.join(sorted(self._known))}",
            )


def numbers(field: str, values: Any, count: int) -> tuple[float, ...]:
    # The bound leaves out infinities, NaN and the whole numbers of JSON that no float can hold.
    numeric = isinstance(values, list | tuple) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
        for value in values
    )
    if not numeric or len(values) != count:
        wanted = "a finite number" if count == 1 else f"{count} finite numbers"
        raise InvalidArgumentError(field, f"{field} must be {wanted}")
    return tuple(float(value) for value in values)


def number_range(field: str, values: Any) -> Range:
    low, high = numbers(field, values, 2)
    return (low, high)

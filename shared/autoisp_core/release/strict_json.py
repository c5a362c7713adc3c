"""JSON from outside, read without second meanings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from autoisp_core.errors import InvalidArgumentError


def read_object(data: bytes, field: str, keys: Iterable[str], limit: int) -> dict[str, Any]:
    """The object in ``data``.

    Args:
        data: UTF-8.
        field: what it is, for messages.
        keys: all that it must have; it may have no others.
        limit: most bytes.

    Raises:
        InvalidArgumentError: it is too long, no JSON object, has a key twice or other keys.
    """
    if len(data) > limit:
        raise bad(field, f"it has {len(data)} bytes, which is over the limit of {limit}")
    try:
        found = json.loads(data.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise bad(field, f"it is no JSON ({error})") from error
    return checked_object(found, field, keys)


def checked_object(value: object, field: str, keys: Iterable[str]) -> dict[str, Any]:
    """``value``, if it is an object with exactly these keys.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(value, dict) or set(value) != set(keys):
        raise bad(field, f"it must be an object with the keys {', '.join(sorted(keys))}, and no others")
    return value


def text(value: object, field: str) -> str:
    """``value``, if it is a string.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(value, str):
        raise bad(field, "it must be a string")
    return value


def bad(field: str, what: str) -> InvalidArgumentError:
    """The error of something malformed."""
    return InvalidArgumentError(field, f"{field}: {what}", reason="BAD_MANIFEST")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")

"""``--space FILE.json``: which networks a search may try, as far as it differs from the default."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import LayerType, SearchSpace, SpecError

OPTION = "--space"
_KEYS = tuple(field.name for field in fields(SearchSpace))
_MOST = 1024


def read_space(path: Path) -> search_pb2.SearchSpace:
    """The keys that the file gives; the service fills in the others.

    The keys are those of :class:`autoisp_core.spec.SearchSpace`; a layer type is its code or its name.

    Raises:
        InvalidArgumentError: no such file, no JSON object, or a wrong key or value, which the message names.
    """

    def refuse(why: str) -> NoReturn:
        raise InvalidArgumentError(OPTION, f"{OPTION} {path}: {why}")

    document = _document(path, refuse)
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key not in _KEYS:
            refuse(f"{key}: there is no such key; a space has {', '.join(_KEYS)}")
        if key == "max_layers":
            values[key] = _integer(key, value, refuse)
        elif not isinstance(value, list) or not value:
            refuse(f"{key}: {json.dumps(value)} is no list of choices; write it as in {_example(key)}")
        else:
            read = _type if key == "types" else _integer
            values[key] = tuple(read(key, item, refuse) for item in value)
    try:
        space = SearchSpace(**values)
        space.cheapest()
    except SpecError as error:
        refuse(f"{error.field.removeprefix('space.')}: {error.message}")
    # Only what was given: the defaults are the service's.
    return search_pb2.SearchSpace(**{key: getattr(space, key) for key in values})


def _document(path: Path, refuse: Callable[[str], NoReturn]) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        refuse("no such file; check the path")
    except (OSError, ValueError) as error:
        refuse(f"is no readable text ({error}); give a JSON file")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(f"is no JSON: {error}")
    if not isinstance(document, dict):
        refuse(f"must be a JSON object, such as {{{_example('widths')}}}")
    return document


def _integer(key: str, value: Any, refuse: Callable[[str], NoReturn]) -> int:
    # True is an int in Python, and 1.0 a number in JSON; neither is meant here.
    if type(value) is not int:
        refuse(f"{key}: {json.dumps(value)} is no whole number; write it as in {_example(key)}")
    if not 0 <= value <= _MOST:
        refuse(f"{key}: {value} is out of range; give 0 to {_MOST}")
    return value


def _type(key: str, value: Any, refuse: Callable[[str], NoReturn]) -> LayerType:
    known = {kind.name: kind for kind in LayerType}
    codes = {int(kind): kind for kind in LayerType}
    found = known.get(value.upper()) if isinstance(value, str) else None
    if found is None and type(value) is int:
        found = codes.get(value)
    if found is None:
        names = ", ".join(f"{int(kind)} or {kind.name}" for kind in LayerType)
        refuse(f"{key}: there is no layer type {json.dumps(value)}; use {names}")
    return found


def _example(key: str) -> str:
    default: int | tuple[int, ...] = getattr(SearchSpace(), key)
    listed = default if isinstance(default, int) else [int(value) for value in default]
    return json.dumps({key: listed})[1:-1]

"""The order of file names that people expect."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[list[tuple[int, str]], str]:
    """A sort key by which numbers count as numbers; no two names have the same.

    Only ``0`` to ``9`` are digits. A number sorts by its length, then by its digits, so none is too long.

    >>> sorted(["f10.png", "f9.png", "f09.png"], key=natural_key)
    ['f09.png', 'f9.png', 'f10.png']
    """
    parts = [
        (len(part.lstrip("0")), part.lstrip("0")) if index % 2 else (-1, part)
        for index, part in enumerate(_DIGITS.split(name))
    ]
    return parts, name

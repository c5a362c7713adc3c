"""How text is cut into words: the same for what is found and for what is looked for, on every database."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")
_MAX_WORD = 64
MAX_WORDS = 5_000
"""Of one text; what comes after them is not found."""


def words_of(text: str) -> tuple[str, ...]:
    """Runs of letters and digits, without case; of long ones the first 64 characters.

    >>> words_of("Night-mode, ISO 3200_b")
    ('night', 'mode', 'iso', '3200', 'b')
    """
    # Some letters fold to a letter and a mark that is none: cut after folding.
    return tuple(word[:_MAX_WORD] for word in _WORD.findall(text.casefold()))


def words_of_all(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of several texts, one after the other, at most :data:`MAX_WORDS`."""
    return tuple(word for text in texts for word in words_of(text))[:MAX_WORDS]

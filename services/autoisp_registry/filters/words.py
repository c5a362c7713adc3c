"""How text is cut into words: the same for what is found and for what is looked for, on every database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+")
_MAX_WORD = 64
MAX_WORDS = 5_000
"""Of one text; what comes after them is not found. PostgreSQL knows places up to 16,383."""
MAX_SAME = 255
"""Of one word: PostgreSQL keeps no more places. Those that come after them are left out on any database."""


def words_of(text: str) -> tuple[str, ...]:
    """Runs of letters and digits, without case; of long ones the first 64 characters.

    >>> words_of("Night-mode, ISO 3200_b")
    ('night', 'mode', 'iso', '3200', 'b')
    """
    # Some letters fold to a letter and a mark that is none: cut after folding.
    return tuple(word[:_MAX_WORD] for word in _WORD.findall(text.casefold()))


def words_of_all(texts: Iterable[str]) -> tuple[str, ...]:
    """The words of several texts, one after the other: :data:`MAX_WORDS`, each :data:`MAX_SAME` times."""
    words: list[str] = []
    seen: Counter[str] = Counter()
    for word in (word for text in texts for word in words_of(text)):
        seen[word] += 1
        if seen[word] <= MAX_SAME:
            words.append(word)
        if len(words) == MAX_WORDS:
            break
    return tuple(words)

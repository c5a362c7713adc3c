"""Full text on either database, of words that were cut already: no database's own rules come in."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_POSITION = 16_383
_MAX_POSITIONS = 255


def tsvector(words: Iterable[str]) -> str:
    """The words with their places, as PostgreSQL reads a ``tsvector``."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words, 1):
        known = places.setdefault(word, [])
        if place <= _MAX_POSITION and len(known) < _MAX_POSITIONS:
            known.append(place)
    return " ".join(f"'{word}':{','.join(map(str, at))}" for word, at in places.items())


def tsquery(words: Iterable[str]) -> str:
    """The words side by side, as PostgreSQL reads a ``tsquery``."""
    return " <-> ".join(f"'{word}'" for word in words)


def fts5(words: Iterable[str]) -> str:
    """The words side by side, as SQLite's FTS5 reads a query."""
    return '"' + " ".join(words) + '"'

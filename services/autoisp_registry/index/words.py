"""Full text on either database, of words that were cut already: no database's own rules come in."""

from __future__ import annotations

from collections.abc import Iterable


def tsvector(words: Iterable[str]) -> str:
    """The words with their places, as PostgreSQL reads a ``tsvector``."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words, 1):
        places.setdefault(word, []).append(place)
    return " ".join(f"'{word}':{','.join(map(str, at))}" for word, at in places.items())


def tsquery(words: Iterable[str]) -> str:
    """The words side by side, as PostgreSQL reads a ``tsquery``."""
    return " <-> ".join(f"'{word}'" for word in words)


def fts5(words: Iterable[str]) -> str:
    """The words side by side, as SQLite's FTS5 reads a query."""
    return '"' + " ".join(words) + '"'

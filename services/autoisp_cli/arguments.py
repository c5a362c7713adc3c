"""Options that take several values, as a shell's glob gives them: ``--footage a.mp4 b.mp4``."""

from __future__ import annotations

from collections.abc import Sequence

SEVERAL = frozenset({"--footage", "--test", "--rung", "--warm-start", "--subject", "--margin"})


def spread(words: Sequence[str]) -> list[str]:
    """Repeats such an option before each of its values.

    >>> spread(["tune", "--footage", "a", "b", "--seed", "1"])
    ['tune', '--footage', 'a', '--footage', 'b', '--seed', '1']
    """
    result: list[str] = []
    option, values = "", 0
    for word in words:
        if word.startswith("--") or (word.startswith("-") and len(word) == 2):
            option, values = word, 0
            result.append(word)
            continue
        if option in SEVERAL and values:
            result.append(option)
        values += 1
        result.append(word)
    return result

"""``NAME=VALUE`` on the command line."""

from __future__ import annotations

import math
from collections.abc import Iterable

from autoisp_core.errors import InvalidArgumentError


def pairs(option: str, words: Iterable[str]) -> dict[str, str]:
    """Names and values, in their order.

    >>> pairs("--tag", ["sensor=phone", "note=a=b"])
    {'sensor': 'phone', 'note': 'a=b'}

    Raises:
        InvalidArgumentError: a word is no pair, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidArgumentError(option, f"{option} {word!r}: write NAME=VALUE")
        if name in found:
            raise InvalidArgumentError(option, f"{option}: {name} is given twice; leave one out")
        found[name] = value
    return found


def figures(option: str, words: Iterable[str]) -> dict[str, float]:
    """As :func:`pairs`, with numbers.

    >>> figures("--metric", ["psnr_model=31.2"])
    {'psnr_model': 31.2}

    Raises:
        InvalidArgumentError: a value is no finite number.
    """
    found: dict[str, float] = {}
    for name, text in pairs(option, words).items():
        try:
            found[name] = float(text)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise InvalidArgumentError(option, f"{option} {name}={text}: {text!r} is no finite number")
    return found

"""Ids: ours are time-sortable, the user's are checked."""

from __future__ import annotations

import re
import secrets
import time
from uuid import NAMESPACE_URL, uuid5

from autoisp_core.errors import InvalidArgumentError

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: sorts as its value, no i, l, o, u
_TIME_CHARS = 10  # 50 bits of milliseconds: good until the year 37648
_RANDOM_CHARS = 12  # 60 bits
_USER_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")


def new_id(prefix: str = "") -> str:
    """A new id: ``<prefix><22 characters>``, lowercase; ids made later sort later (to the millisecond).

    Without a prefix the id begins with a digit, so it can never collide with an id that a user chose.
    """
    millis = time.time_ns() // 1_000_000
    return prefix + _base32(millis, _TIME_CHARS) + _base32(secrets.randbits(60), _RANDOM_CHARS)


def derived_id(*parts: str) -> str:
    """The same id for the same parts, always (32 hex characters): makes commands and events idempotent.

    >>> derived_id("searches/s", "trial", "3") == derived_id("searches/s", "trial", "3")
    True
    """
    return uuid5(NAMESPACE_URL, "\x1f".join(parts)).hex


def validate_user_id(value: str, field: str) -> str:
    """Return ``value`` if it is an id a user may choose: ``[a-z][a-z0-9-]{0,62}``.

    Raises:
        InvalidArgumentError: naming ``field`` and the rule.
    """
    if not _USER_ID.fullmatch(value):
        raise InvalidArgumentError(
            field,
            f"{field} {value!r} is not a valid id; use a lowercase letter, then up to 62 lowercase letters, "
            "digits or '-'",
            reason="INVALID_ID",
        )
    return value


def _base32(value: int, width: int) -> str:
    chars = []
    for _ in range(width):
        value, low = divmod(value, 32)
        chars.append(_ALPHABET[low])
    return "".join(reversed(chars))

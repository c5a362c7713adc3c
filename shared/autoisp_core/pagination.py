"""Opaque page tokens for List methods.

A token holds the sort key of the last row that was given out (keyset pagination: rows added or removed
meanwhile neither repeat nor hide others) and a digest of the query, so that another filter can't use it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from autoisp_core.errors import InvalidArgumentError

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; ``next_page_token`` is empty on the last one."""

    items: tuple[T, ...]
    next_page_token: str = ""


@dataclass(frozen=True)
class PageRequest:
    """A checked request: at most ``size`` rows whose key is after ``after`` (None: from the start)."""

    size: int
    after: str | None
    query: str = ""

    @classmethod
    def parse(cls, page_size: int, page_token: str, query: str = "") -> PageRequest:
        """Check what the client sent. ``query`` is whatever else selects rows (parent, filter).

        A size of 0 means the default; more than the maximum is cut to it, as AIP-158 asks.

        Raises:
            InvalidArgumentError: a negative size, or a token that is not ours or of another query.
        """
        if page_size < 0:
            raise InvalidArgumentError("page_size", f"page_size must be 0 (default) or more, got {page_size}")
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        return cls(size, decode_page_token(page_token, query), query)

    def page(self, rows: Sequence[T], key: Callable[[T], str]) -> Page[T]:
        """Make the page from up to ``size + 1`` rows (one more than asked says that there are more)."""
        items = tuple(rows[: self.size])
        more = len(rows) > self.size
        return Page(items, encode_page_token(key(items[-1]), self.query) if more else "")


def encode_page_token(key: str, query: str = "") -> str:
    """The token for "everything after ``key``"."""
    text = json.dumps([_digest(query), key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_page_token(token: str, query: str = "") -> str | None:
    """The key in ``token``; None for the empty token (first page).

    Raises:
        InvalidArgumentError: not a token of ours, or made for another query.
    """
    if not token:
        return None
    try:
        padded = token + "=" * (-len(token) % 4)
        digest, key = json.loads(base64.b64decode(padded.encode(), altchars=b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):  # other JSON than ours, or deeper than a parser goes
        digest, key = None, None
    if digest != _digest(query) or not isinstance(key, str):
        raise InvalidArgumentError(
            "page_token",
            "page_token is not one this list gave out; use next_page_token of the previous page with the "
            "same filter, or leave it empty to start again",
            reason="INVALID_PAGE_TOKEN",
        )
    return key


def _digest(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()[:12]

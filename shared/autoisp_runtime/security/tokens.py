"""Bearer tokens: a TOML file of their digests, read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from autoisp_core.actor import is_actor
from autoisp_core.errors import InvalidArgumentError

from autoisp_runtime.security.projects import PROJECT
from autoisp_runtime.security.scopes import WORDS, Scope

_log = structlog.get_logger(__name__)

_PREFIX = "autoisp_"
"""Of every token, so that scanners of source code find those that were left lying about."""
_LOOK_EVERY_S = 0.5
_MOST_BYTES = 1 << 20
"""Some thousand tokens; each call is compared with all."""
_WRONG = (OSError, ValueError, RecursionError)
_PROJECT_RULE = "write small letters and digits, a letter first, at most 31, and no hyphen"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIRED, _KEYS = {"name", "sha256", "scope"}, {"name", "sha256", "scope", "project", "expires"}

_State = tuple[int, int, int]


@dataclass(frozen=True)
class Token:
    """What is known of a token; not the token.

    Attributes:
        name: whom it was given to: the actor of audit logs.
        sha256: of the token's text, 64 hexadecimal digits.
        expires: None: never.
        project: the only one that it sees; empty: all.
    """

    name: str
    sha256: str
    scope: Scope
    expires: datetime | None = None
    project: str = ""

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires

    def to_toml(self) -> str:
        """Its entry in the file.

        The scope is last: an entry that is not whole yet is wrong, and never one without its limits.
        """
        lines = [f"name = {_quoted(self.name)}", f'sha256 = "{self.sha256}"']
        if self.project:
            lines.append(f'project = "{self.project}"')
        if self.expires is not None:
            lines.append(f"expires = {self.expires.astimezone(UTC).isoformat(timespec='seconds')}")
        return "\n".join(("[[token]]", *lines, f'scope = "{self.scope.word}"', ""))


def new_token(
    name: str, scope: Scope, expires: datetime | None = None, project: str = ""
) -> tuple[str, Token]:
    """A new secret, and what to write down of it.

    Raises:
        InvalidArgumentError: field ``name`` or ``project``.
    """
    if not is_actor(name):
        raise InvalidArgumentError("name", f"{name!r} names nobody; write 1 to 128 printable characters")
    if project and not PROJECT.fullmatch(project):
        raise InvalidArgumentError("project", f"{project!r}: {_PROJECT_RULE}")
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, Token(name, digest_of(secret), scope, expires, project)


def digest_of(secret: str) -> str:
    """SHA-256 in hexadecimal. Fast on purpose: 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse(text: str) -> tuple[Token, ...]:
    """Reads a file's text.

    Raises:
        ValueError: says which entry is wrong, and how.
    """
    data = tomllib.loads(text)
    entries = data.pop("token", [])
    if data or not isinstance(entries, list):
        raise ValueError("write one [[token]] table for each token, and nothing else")
    tokens = tuple(_token(entry, f"token {number}") for number, entry in enumerate(entries, 1))
    for what in ("name", "sha256"):
        for value, count in Counter(getattr(token, what) for token in tokens).most_common(1):
            if count > 1:
                raise ValueError(f"two tokens have the {what} {value!r}")
    return tokens


def _token(entry: Any, where: str) -> Token:
    if not isinstance(entry, Mapping) or not _REQUIRED <= set(entry) <= _KEYS:
        # An unknown key may be a misspelt limit: taken in, the token would be good for more than was meant.
        raise ValueError(
            f"{where} must have name, sha256 and scope, may have project and expires, and nothing else"
        )
    name, sha256, scope = (str(entry[key]) for key in ("name", "sha256", "scope"))
    if not is_actor(name):
        raise ValueError(f"{where}: the name {name!r} can't be shown")
    if not _SHA256.fullmatch(sha256):
        raise ValueError(
            f"{where} ({name}): sha256 must be 64 small hexadecimal digits, not the token itself"
        )
    if scope not in WORDS:
        raise ValueError(f"{where} ({name}): the scope {scope!r} is none of {', '.join(WORDS)}")
    expires = entry.get("expires")
    if expires is not None and (not isinstance(expires, datetime) or expires.tzinfo is None):
        raise ValueError(
            f"{where} ({name}): expires must be a time with its zone, as in 2027-01-31T00:00:00Z"
        )
    project = entry.get("project", "")
    if "project" in entry and (not isinstance(project, str) or not PROJECT.fullmatch(project)):
        raise ValueError(f"{where} ({name}): project {project!r}: {_PROJECT_RULE}")
    return Token(name, sha256, Scope[scope.upper()], expires, project)


class TokenFile:
    """Finds tokens in a file.

    A changed file counts within a second. One that became unreadable changes nothing, and the log says so: a
    slip in an editor must not lock everybody out.

    Args:
        path: of the file.
        clock: monotonic seconds.

    Raises:
        InvalidArgumentError: field ``tokens_file``: it can't be read, or is none.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._state: _State | None = None
        self._tokens: tuple[Token, ...] = ()
        self._said = ""
        try:
            self._read()
        except _WRONG as error:
            raise InvalidArgumentError("tokens_file", f"{path} is no file of tokens: {error}") from error
        self._looked = clock()

    def find(self, secret: str) -> Token | None:
        """The token, if it is in the file; takes as long whichever it is."""
        self._look()
        digest, found = digest_of(secret).encode(), None
        for token in self._tokens:
            if hmac.compare_digest(token.sha256.encode(), digest):
                found = token
        return found

    def _look(self) -> None:
        if self._clock() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = self._clock()
        try:
            if self._read():
                self._said = ""
                _log.info("tokens were read again", path=str(self._path), tokens=len(self._tokens))
        except _WRONG as error:
            if isinstance(error, OSError):
                self._state = None  # what is mended may look as before
            if str(error) != self._said:
                self._said = str(error)
                _log.error("tokens stay as they were", path=str(self._path), error=self._said)

    def _read(self) -> bool:
        """Read the file if it changed; returns whether it did."""
        status = self._path.stat()
        state = status.st_ino, status.st_size, status.st_mtime_ns
        if state == self._state:
            return False
        self._state = state
        if status.st_size > _MOST_BYTES:
            raise ValueError(f"it has {status.st_size} bytes, and may have {_MOST_BYTES}")
        self._tokens = parse(self._path.read_text("utf-8"))
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            _log.warning("others may write the file of tokens; take it from them", path=str(self._path))
        return True


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

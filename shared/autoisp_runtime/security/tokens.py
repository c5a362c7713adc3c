"""Bearer tokens: a TOML file of their digests, read again when it changes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
import tomllib
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
_PROJECT_RULE = "write small letters and digits, a letter first, at most 31, and no hyphen"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIRED, _KEYS = {"name", "sha256", "scope"}, {"name", "sha256", "scope", "project", "expires"}


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
        """Its entry in the file."""
        lines = [f"name = {_quoted(self.name)}", f'sha256 = "{self.sha256}"', f'scope = "{self.scope.word}"']
        if self.project:
            lines.append(f'project = "{self.project}"')
        if self.expires is not None:
            lines.append(f"expires = {self.expires.astimezone(UTC).isoformat(timespec='seconds')}")
        return "\n".join(("[[token]]", *lines, ""))


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
    for what, values in (("name", [t.name for t in tokens]), ("sha256", [t.sha256 for t in tokens])):
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"two tokens have the {what} {twice[0]!r}")
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
        try:
            self._state = self._stat()
            self._tokens = parse(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
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
            state = self._stat()
            if state == self._state:
                return
            self._state = state
            self._tokens = parse(self._path.read_text("utf-8"))
            _log.info("tokens were read again", path=str(self._path), tokens=len(self._tokens))
        except (OSError, ValueError) as error:
            if self._state is not None or not isinstance(error, OSError):
                _log.error("tokens stay as they were", path=str(self._path), error=str(error))
            if isinstance(error, OSError):
                self._state = None

    def _stat(self) -> tuple[int, int, int] | None:
        status = self._path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

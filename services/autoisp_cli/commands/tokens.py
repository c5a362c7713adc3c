"""``autoisp tokens``: makes tokens for services that ask for them."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer
from autoisp_core.errors import InvalidArgumentError
from autoisp_runtime.security.scopes import Scope
from autoisp_runtime.security.tokens import Token, new_token, parse

app = typer.Typer(help="Tokens for services that ask for them.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """Tokens for services that ask for them."""


@app.command("new")
def new_command(
    name: Annotated[str, typer.Option("--name", help="Whom it is for; audit logs show it.")],
    scope: Annotated[
        Literal["read", "write", "admin"],
        typer.Option("--scope", help="What it is good for; each includes the one before."),
    ],
    days: Annotated[
        float | None, typer.Option("--days", help="How long it is good; by default for ever.")
    ] = None,
    project: Annotated[
        str, typer.Option("--project", help="The only project that it sees, whose ids begin with 'PROJECT-'.")
    ] = "",
    append: Annotated[
        Path | None,
        typer.Option("--append", metavar="FILE", help="Add the entry to this file; print the token alone."),
    ] = None,
) -> None:
    """Make a token and show it, once, with the entry for the file AUTOISP_TOKENS_FILE.

    The entry has the token's SHA-256 only: whoever reads the file can't call.
    """
    secret, token = new_token(name, Scope[scope.upper()], _end(days), project)
    if append is None:
        print(f"{secret}\n\n{token.to_toml()}", end="")
        return
    _append(append, token)
    print(secret)


def _end(days: float | None) -> datetime | None:
    if days is None:
        return None
    if not 0 < days <= 36_500:
        raise InvalidArgumentError("--days", f"--days {days:g}: give more than 0 and at most 36500")
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _append(path: Path, token: Token) -> None:
    """All at once for who reads it, and one after the other for who writes it."""
    try:
        path = path.resolve()  # a link goes on being one
        with _locked(path.parent):
            earlier = path.read_text("utf-8") if path.exists() else ""
            text = "\n\n".join(part for part in (earlier.rstrip("\n"), token.to_toml()) if part)
            parse(text)
            _replace(path, text)
    except (OSError, ValueError, RuntimeError) as error:
        raise InvalidArgumentError("--append", f"--append {path}: {error}") from error


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, "utf-8")
        if path.exists():  # owner and mode stay: services may run as another user
            known = path.stat()
            os.chown(part, known.st_uid, known.st_gid)
            part.chmod(stat.S_IMODE(known.st_mode))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

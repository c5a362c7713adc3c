"""Paths and texts that options give, looked at with errors that name the option."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from autoisp_core.errors import InvalidArgumentError

T = TypeVar("T")


def expanded(option: str, path: Path) -> Path:
    """The path, with ``~`` for a home.

    Raises:
        InvalidArgumentError: there is no such user.
    """
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise InvalidArgumentError(
            option, f"{option} {path}: there is no such user's home; check the path"
        ) from error


def looked_at(option: str, path: Path, look: Callable[[Path], bool]) -> bool:
    """What ``look`` says of the path.

    Raises:
        InvalidArgumentError: it can't be looked at.
    """
    try:
        return look(path)
    except OSError as error:
        raise InvalidArgumentError(
            option, f"{option} {path}: can't look there: {error.strerror}; check the path and its permissions"
        ) from error


def check_folder(option: str, path: Path) -> None:
    """Refuses what can't become a folder before any work is done for it.

    Raises:
        InvalidArgumentError: it, or what it would be in, is a file.
    """
    for place in (path, *path.parents):
        if looked_at(option, place, Path.exists):
            if not place.is_dir():
                where = "" if place == path else f": {place}"
                raise InvalidArgumentError(option, f"{option} {path}{where} is a file; give a folder")
            return


def as_option(option: str, read: Callable[[], T]) -> T:
    """What ``read`` returns; its complaint names the option.

    Raises:
        InvalidArgumentError: what ``read`` raises.
    """
    try:
        return read()
    except InvalidArgumentError as error:
        raise InvalidArgumentError(option, f"{option}: {error.message}", reason=error.reason) from error


def text_of(option: str, path: Path, fix: str) -> str:
    """The text of a file.

    Args:
        fix: what to write instead, if there is no such file.

    Raises:
        InvalidArgumentError: there is none, or it can't be read.
    """
    path = expanded(option, path)
    if not looked_at(option, path, Path.is_file):
        raise InvalidArgumentError(option, f"{option} {path}: no such file; {fix}")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(option, f"{option} {path} is no readable text") from error

"""Texts that a command writes where an option says."""

from __future__ import annotations

from pathlib import Path

from autoisp_core.errors import InvalidArgumentError


def write_text(option: str, path: Path, text: str) -> None:
    """Writes the file, with its folder.

    Raises:
        InvalidArgumentError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InvalidArgumentError(
            option, f"{option} {path}: can't write it: {error.strerror}; choose another place"
        ) from error

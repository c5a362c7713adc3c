"""``--gate FILE``: what a network must reach."""

from __future__ import annotations

from pathlib import Path

from autoisp_core.errors import InvalidArgumentError

from autoisp_cli.paths import text_of


def gate_text(path: Path) -> str:
    """The text of a gate's file; the service knows what it may say.

    Raises:
        InvalidArgumentError: there is no such file, or nothing in it.
    """
    text = text_of("--gate", path, "write the path of a TOML file")
    if not text.strip():
        raise InvalidArgumentError("--gate", f"--gate {path}: nothing is in it; write at least one check")
    return text

"""The sheet as a file; its extension says of which kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError

from autoisp_cli.sheet.content import Sheet
from autoisp_cli.sheet.page import render
from autoisp_cli.sheet.picture import draw
from autoisp_cli.sheet.thumbnails import png

_WRITERS: dict[str, Callable[[Sheet], bytes]] = {
    ".png": lambda sheet: png(draw(sheet)),
    ".html": lambda sheet: render(sheet).encode(),
}


def check_sheet(path: Path) -> None:
    """Check that a sheet could be written to ``path``, before any frame is fetched for it.

    Raises:
        InvalidArgumentError: another extension, or no such folder.
    """
    if path.suffix.lower() not in _WRITERS:
        raise InvalidArgumentError(
            "--sheet", f"--sheet {path}: give a file that ends in {' or '.join(_WRITERS)}"
        )
    if not path.absolute().parent.is_dir():
        raise InvalidArgumentError("--sheet", f"--sheet {path}: there is no folder {path.parent}; make it")


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write it.

    Raises:
        InvalidArgumentError: the file can't be written.
    """
    data = _WRITERS[path.suffix.lower()](sheet)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InvalidArgumentError("--sheet", f"--sheet {path}: can't write: {error.strerror}") from error

"""Puts a report where the user wants it: each file complete or not there."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoisp_core.errors import ResourceExhaustedError

from autoisp_cli.report.outcome import Outcome
from autoisp_cli.report.page import render
from autoisp_cli.report.result import result

PAGE, RESULT, NETWORK = "index.html", "result.json", "model.onnx"


def write_report(outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Writes ``index.html`` and then ``result.json`` beside the ``model.onnx`` that is there already.

    ``result.json`` comes last: where it is, the rest is.

    Raises:
        ResourceExhaustedError: the disk is full or the folder can't be written.
    """
    outcome = replace(outcome, onnx=folder / NETWORK)
    figures = result(outcome)
    write_atomically(folder / PAGE, render(outcome))
    write_atomically(folder / RESULT, json.dumps(figures, indent=2) + "\n")
    return figures


def write_atomically(path: Path, content: str) -> None:
    """Writes under a temporary name in the same folder, then renames.

    Raises:
        ResourceExhaustedError: the disk is full or the folder can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise ResourceExhaustedError(
            f"can't write {path}: {error.strerror}; free some space, or choose another folder with --out",
            reason="DISK",
            metadata={"field": "--out", "path": str(path)},
        ) from error

"""``autoisp models download``: the files of a version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    show_one,
)
from autoisp_cli.commands.models.options import VersionArgument, VersionedArgument
from autoisp_cli.registry.short_names import version_name


def download_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("model.onnx"),
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Download a version's ONNX file, checked against its digest."""
    with client_for(server, state) as client:
        artifact = client.download(out, model_version=version_name(model, version))
        show_one(artifact, [("wrote", out), ("sha256", artifact.sha256)], as_json=json)

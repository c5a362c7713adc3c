"""``autoisp models download``, ``release``, ``verify`` and ``export``: the files of a version."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

import typer
from autoisp_core.release.checking import Release
from autoisp_core.release.command import main as verify_main
from rich.text import Text

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    output_console,
    show_one,
)
from autoisp_cli.commands.models.options import VersionArgument, VersionedArgument
from autoisp_cli.paths import check_folder, expanded
from autoisp_cli.registry.short_names import model_id, numbered, split_name, version_name
from autoisp_cli.views.download_bar import download_bar

FormatsOption = Annotated[
    list[str],
    typer.Option("--format", metavar="NAME", help="Only this, such as onnx-int8; repeat for more."),
]
KeysOption = Annotated[
    list[Path],
    typer.Option("--key", metavar="PUB.pem", help="A key that must have signed it; repeat for more."),
]


def download_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="By default model.onnx or the like.")
    ] = None,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="Such as onnx-int8, or manifest.")
    ] = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Download a file of a version, checked. It goes on where an earlier download broke off.

    \b
    autoisp models download night@champion -o night.onnx
    autoisp models download night@3 --format onnx-int8
    """
    to = expanded("--out", out) if out is not None else Path(_file_name(format))
    with client_for(server, state) as client, download_bar(to.name) as show:
        artifact = client.download(
            to, model_version=version_name(model, version), format=format, on_progress=show
        )
    rows = [("wrote", to), ("bytes", f"{artifact.size_bytes:,}"), ("sha256", artifact.sha256)]
    show_one(artifact, rows, as_json=json)


def release_command(
    model: VersionedArgument,
    version: VersionArgument = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="By default MODEL-VERSION.")
    ] = None,
    format: FormatsOption = [],  # noqa: B006 - typer copies it
    key: KeysOption = [],  # noqa: B006 - typer copies it
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Get what devices get: files and signed manifest. In a folder, checked; exit code 1: it is not genuine.

    \b
    autoisp models release night@champion -o release
    autoisp-verify release --key keys/registry.pem
    """
    with client_for(server, state) as client, download_bar("release") as show:
        name = numbered(client, version_name(model, version))
        parent, number = split_name(name)
        to = expanded("--out", out) if out is not None else Path(f"{model_id(parent)}-{number}")
        check_folder("--out", to)
        release = client.download_release(to, name, formats=format, keys=key, on_progress=show)
    _show_release(release, to, json=json)
    if not release.genuine:
        raise typer.Exit(1)


def export_command(
    model: VersionedArgument,
    mlflow: Annotated[
        Path, typer.Option("--mlflow", metavar="DIR", help="A folder in MLflow's model format.")
    ],
    version: VersionArgument = None,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="An ONNX format; by default the file itself.")
    ] = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Export a version for MLflow, as a folder.

    \b
    autoisp models export night@champion --mlflow night-mlflow
    """
    to = expanded("--mlflow", mlflow)
    check_folder("--mlflow", to)
    with client_for(server, state) as client:
        found = client.export_mlflow(to, version_name(model, version), format=format)
    show_one(found, [("wrote", to), ("of", found.name)], as_json=json)


def verify_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What 'autoisp models release' wrote.")],
    key: KeysOption,
    format: FormatsOption = [],  # noqa: B006 - typer copies it
    json: JsonOption = False,
) -> None:
    """Check a release without any server. As 'autoisp-verify', which needs nothing else of AutoISP.

    \b
    autoisp models keys
    autoisp models verify release --key keys/registry.pem
    """
    words = [str(folder)]
    for path in key:
        words += ["--key", str(path)]
    for name in format:
        words += ["--format", name]
    code = verify_main([*words, "--json"] if json else words)
    if code:
        raise typer.Exit(code)


def _file_name(format: str) -> str:
    if format == "manifest":
        return "manifest.json"
    if format.startswith("executorch"):
        return "model.pte"
    return f"model.{format.removeprefix('onnx-')}.onnx" if format not in ("", "onnx-fp32") else "model.onnx"


def _show_release(release: Release, folder: Path, *, json: bool) -> None:
    if json:
        files = [{"name": c.file.name, "format": c.file.format, "problem": c.problem} for c in release.files]
        told = {
            "genuine": release.genuine,
            "model_version": release.manifest.name,
            "folder": str(folder),
            "key_id": release.key.key_id,
            "files": files,
        }
        print(json_text.dumps(told, indent=2))
        return
    console = output_console()
    for check in release.files:
        mark, style = ("✗", "red") if check.problem else ("✓", "green")
        line = Text.assemble((f"{mark} ", style), (check.file.name, "bold"))
        console.print(line.append(f"  {check.problem or f'{check.file.size_bytes:,} bytes'}", style="dim"))
    words = "is genuine" if release.genuine else "is NOT genuine"
    console.print(
        Text.assemble((release.manifest.name, "bold cyan"), f" in {folder} {words}"),
        Text(f"signed by {release.key.key_id}", style="dim"),
        sep="\n",
    )

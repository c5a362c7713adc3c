"""``autoisp models``: registered networks, their versions and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from autoisp.registry.v1 import registry_pb2

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    LimitOption,
    ServerOption,
    StateOption,
    client_for,
    full_name,
    show_list,
    show_one,
    time_text,
)
from autoisp_cli.report.figures import number

app = typer.Typer(help="Models and their versions.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="models/ID, or just the ID.")]
VersionArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="A number, an alias such as champion, or latest.")
]


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List models."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda model: model.name,
            "LATEST": lambda model: model.latest_version,
            "ALIASES": _aliases,
            "UPDATED": lambda model: time_text(model, "update_time"),
        }
        show_list(client.list_models(), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    model: ModelArgument,
    version: VersionArgument = "latest",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one version: its figures, and where it came from."""
    with client_for(server, state) as client:
        found = client.get_model_version(f"{full_name('models', model)}/versions/{version}")
        rows: list[tuple[str, object]] = [
            ("name", found.name),
            ("passed", "yes" if found.gate.passed else "no"),
            *(("check", check) for check in found.gate.checks),
            *((name, number(value)) for name, value in sorted(found.metrics.items())),
            ("dataset", found.lineage.dataset),
            ("trial", found.lineage.trial),
            ("evaluation", found.lineage.evaluation),
            ("onnx", f"{found.onnx.size_bytes} bytes, sha256 {found.onnx.sha256}"),
            ("created", time_text(found, "create_time")),
        ]
        show_one(found, [row for row in rows if row[1]], as_json=json)


@app.command("versions")
def versions_command(
    model: ModelArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List a model's versions."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda version: version.name,
            "PASSED": lambda version: "yes" if version.gate.passed else "no",
            "PSNR": lambda version: number(version.metrics.get("psnr_model")),
            "MAC/PX": lambda version: number(version.metrics.get("macs_per_pixel")),
            "FASTER": lambda version: number(version.metrics.get("latency_ratio")),
            "CREATED": lambda version: time_text(version, "create_time"),
        }
        versions = client.list_model_versions(full_name("models", model))
        show_list(versions, columns, as_json=json, limit=limit)


@app.command("download")
def download_command(
    model: ModelArgument,
    version: VersionArgument = "latest",
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.")] = Path("model.onnx"),
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Download a version's ONNX file, checked against its digest."""
    with client_for(server, state) as client:
        name = f"{full_name('models', model)}/versions/{version}"
        artifact = client.download(out, model_version=name)
        show_one(artifact, [("wrote", out), ("sha256", artifact.sha256)], as_json=json)


@app.command("alias")
def alias_command(
    model: ModelArgument,
    alias: Annotated[str, typer.Argument(help="Such as champion.")],
    version: Annotated[int, typer.Argument(min=1, help="The version's number.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Point an alias at a version."""
    with client_for(server, state) as client:
        found = client.set_alias(full_name("models", model), alias, version)
        show_one(found, [("name", found.name), ("aliases", _aliases(found))], as_json=json)


def _aliases(model: registry_pb2.Model) -> str:
    return ", ".join(f"{alias}={version}" for alias, version in sorted(model.aliases.items()))

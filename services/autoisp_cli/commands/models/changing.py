"""``autoisp models register``, ``tag``, ``describe``, ``gate``, ``delete``, ``restore`` and ``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    full_name,
    show_one,
    time_text,
)
from autoisp_cli.commands.models.listing import aliases, tags
from autoisp_cli.commands.models.options import ModelArgument, TagOption, VersionedArgument, VersionOption
from autoisp_cli.gate_file import gate_text
from autoisp_cli.paths import expanded, looked_at, text_of
from autoisp_cli.registry.pairs import figures, pairs
from autoisp_cli.registry.short_names import (
    model_name,
    numbered,
    short_version,
    split_name,
    version_name,
)

Changed = registry_pb2.Model | registry_pb2.ModelVersion


def register_command(
    model: ModelArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="The network.")],
    metric: Annotated[
        list[str], typer.Option("--metric", metavar="NAME=NUMBER", help="A figure; repeat for more.")
    ] = [],  # noqa: B006 - typer copies it
    tag: TagOption = [],  # noqa: B006 - typer copies it
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="For people.")] = "",
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="DATASET", help="What it was trained on: it calibrates int8.")
    ] = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Register a network made elsewhere.

    \b
    autoisp models register night night.onnx --metric psnr_model=31.2 --dataset street
    """
    path = expanded("FILE.onnx", file)
    if not looked_at("FILE.onnx", path, Path.is_file):
        raise InvalidArgumentError("FILE.onnx", f"{file}: no such file; write the path of an ONNX file")
    version = registry_pb2.ModelVersion(
        metrics=figures("--metric", metric), tags=pairs("--tag", tag), description=description
    )
    if dataset:
        version.lineage.dataset = full_name("datasets", dataset)
    with client_for(server, state) as client:
        if dataset:
            client.get_dataset(version.lineage.dataset)  # a misspelt one would stand in the lineage for ever
        version.onnx.CopyFrom(client.upload_artifact(path))
        found = client.register_model_version(model_name(model), version)
    show_one(found, _rows(found), as_json=json)


def tag_command(
    model: VersionedArgument,
    tag: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE…", help="Tags to set.")] = None,
    remove: Annotated[
        list[str], typer.Option("--remove", metavar="KEY", help="A tag to take away; repeat for more.")
    ] = [],  # noqa: B006 - typer copies it
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Set, remove or show tags. Of a model, or of a version.

    \b
    autoisp models tag night sensor=phone
    autoisp models tag night@3 reviewed=yes --remove draft
    """
    changes: dict[str, str | None] = {**pairs("KEY=VALUE", tag or [])}
    for key in remove:
        if key in changes:
            raise InvalidArgumentError("--remove", f"{key} is set and removed at once; leave one out")
        changes[key] = None
    name, version = split_name(model)
    found: Changed
    with client_for(server, state) as client:
        if version:
            wanted = numbered(client, f"{name}/versions/{version}")
            get = client.get_model_version
            found = client.update_model_version(wanted, tags=changes) if changes else get(wanted)
        else:
            found = client.update_model(name, tags=changes) if changes else client.get_model(name)
    show_one(found, _rows(found), as_json=json)


def describe_command(
    model: VersionedArgument,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="What people should know.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Where the text is, instead.")
    ] = None,
    title: Annotated[str | None, typer.Option("--title", help="Of a model: how lists call it.")] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Say in words what a model or a version is.

    \b
    autoisp models describe night@3 'Trained on the winter footage.'
    """
    if text is not None and file is not None:
        raise InvalidArgumentError("--file", "give the TEXT or --file, not both")
    if file is not None:
        text = text_of("--file", file, "write the path of a text file")
    if text is None and title is None:
        raise InvalidArgumentError("TEXT", "nothing to say; give a TEXT, --file or --title")
    name, version = split_name(model)
    found: Changed
    with client_for(server, state) as client:
        if version:
            if title is not None:
                raise InvalidArgumentError("--title", "a version has no title; name the model alone")
            wanted = numbered(client, f"{name}/versions/{version}")
            found = client.update_model_version(wanted, description=text)
        else:
            found = client.update_model(name, description=text, display_name=title)
    show_one(found, _rows(found), as_json=json)


def gate_command(
    model: ModelArgument,
    gate: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The gate, as TOML; without it, show what it is.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Leave it to each version's own gate.")] = False,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Set or show what a champion must reach."""
    if clear and gate is not None:
        raise InvalidArgumentError("--clear", "give a FILE or --clear, not both")
    with client_for(server, state) as client:
        name = model_name(model)
        if clear or gate is not None:
            found = client.update_model(name, promotion_gate=gate_text(gate) if gate else "")
        else:
            found = client.get_model(name)
    said = found.promotion_gate.strip() or "none of its own: what each version's own gate said"
    show_one(found, [("name", found.name), ("gate", said)], as_json=json)


def delete_command(
    model: VersionedArgument,
    version: VersionOption = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete a model, or a version, for now. It can be restored until it is purged.

    \b
    autoisp models delete night@3
    """
    name, within = split_name(model)
    found: Changed
    with client_for(server, state) as client:
        if version or within:
            found = client.delete_model_version(numbered(client, version_name(model, version)))
        else:
            found = client.delete_model(name)
    rows = [
        ("deleted", found.name),
        ("until", f"{time_text(found, 'purge_time')} it can be restored: {_restore(found.name)}"),
    ]
    show_one(found, rows, as_json=json)


def restore_command(
    model: VersionedArgument,
    version: VersionOption = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Bring back what was deleted. A version is named by its number."""
    name, within = split_name(model)
    found: Changed
    with client_for(server, state) as client:
        if version or within:
            found = client.undelete_model_version(version_name(model, version))
        else:
            found = client.undelete_model(name)
    show_one(found, _rows(found), as_json=json)


def convert_command(
    model: VersionedArgument,
    version: VersionOption = None,
    formats: Annotated[
        list[str],
        typer.Option("--format", metavar="NAME", help="Such as onnx-int8; repeat for more; by default all."),
    ] = [],  # noqa: B006 - typer copies it
    dataset: Annotated[
        str, typer.Option("--dataset", metavar="DATASET", help="Calibrates and judges; by default its own.")
    ] = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Make the edge formats once more. A worker does it; 'autoisp models show' tells when they are there."""
    with client_for(server, state) as client:
        name = numbered(client, version_name(model, version))
        wanted = full_name("datasets", dataset) if dataset else ""
        found = client.convert_model_version(name, formats=formats, dataset=wanted)
    state_of = registry_pb2.ConversionState.Name(found.conversion_state)
    rows = [("name", found.name), ("conversion", state_of.removeprefix("CONVERSION_STATE_").lower())]
    show_one(found, rows, as_json=json)


def _restore(name: str) -> str:
    short = short_version(name) if "/versions/" in name else name.removeprefix("models/")
    return f"autoisp models restore {short}"


def _rows(found: Changed) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [("name", found.name)]
    if isinstance(found, registry_pb2.Model):
        rows += [("title", found.display_name), ("aliases", aliases(found))]
    rows += [("about", found.description), ("tags", tags(found))]
    return [row for row in rows if row[1]]

"""``autoisp clips``: footage on the server, and the ways in for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from autoisp.ingest.v1 import ingest_pb2

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
from autoisp_cli.views.transfer import upload_with_bar

app = typer.Typer(help="Clips: upload, import, look at, delete.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="CLIP", help="clips/ID, or just the ID.")]
DisplayNameOption = Annotated[str, typer.Option("--name", help="Shown to people; the file's by default.")]


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List clips."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda clip: clip.name,
            "TITLE": lambda clip: clip.display_name,
            "SIZE": lambda clip: f"{clip.width}×{clip.height}",
            "FRAMES": lambda clip: clip.frame_count,
            "FORMAT": _format_text,
            "CODEC": lambda clip: clip.codec,
        }
        show_list(client.list_clips(), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show one clip."""
    with client_for(server, state) as client:
        _show(client.get_clip(full_name("clips", name)), as_json=json)


@app.command("upload")
def upload_command(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Video files, or folders of stills.")],
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Upload clips; one that broke off goes on where it was."""
    with client_for(server, state) as client:
        for path in paths:
            _show(upload_with_bar(client, path), as_json=json)


@app.command("import")
def import_command(
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="file:///FOLDER/FILE, file:///FOLDER or s3://BUCKET/KEY.")
    ],
    display_name: DisplayNameOption = "",
    sha256: Annotated[str, typer.Option("--sha256", help="What the file's digest must be.")] = "",
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Have the server take footage that it can read itself, inside of its AUTOISP_IMPORT_ROOTS."""
    with client_for(server, state) as client:
        _show(client.import_clip(uri, display_name=display_name, sha256=sha256), as_json=json)


@app.command("delete")
def delete_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete a clip that no dataset holds, with its frames."""
    with client_for(server, state) as client:
        clip = ingest_pb2.Clip(name=full_name("clips", name))
        client.delete_clip(clip.name)
        show_one(clip, [("deleted", clip.name)], as_json=json)


def _show(clip: ingest_pb2.Clip, *, as_json: bool) -> None:
    rate = "variable" if clip.variable_frame_rate else f"{clip.frame_rate:.4g}"
    rows = [
        ("name", clip.name),
        ("title", clip.display_name),
        ("size", f"{clip.width}×{clip.height}"),
        ("frames", clip.frame_count),
        ("per second", rate if clip.frame_rate or clip.variable_frame_rate else "–"),
        ("format", _format_text(clip)),
        ("codec", clip.codec),
        ("source", f"{clip.source_size_bytes:,} bytes, SHA-256 {clip.source_sha256}"),
        ("created", time_text(clip, "create_time")),
    ]
    show_one(clip, rows, as_json=as_json)


def _format_text(clip: ingest_pb2.Clip) -> str:
    kind = ingest_pb2.FrameFormat.Kind.Name(clip.format.kind).removeprefix("KIND_").lower()
    return f"{clip.format.bit_depth}-bit {clip.format.cfa or kind}" if clip.format.kind else "–"

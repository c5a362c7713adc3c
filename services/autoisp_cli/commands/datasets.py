"""``autoisp datasets``: clips with their splits."""

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
from autoisp_cli.sheet import check_sheet, collect, write_sheet

app = typer.Typer(help="Datasets: list, look at, delete.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="DATASET", help="datasets/ID, or just the ID.")]


@app.command("list")
def list_command(
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List datasets."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda dataset: dataset.name,
            "TRAIN": lambda dataset: _count(dataset, ingest_pb2.SPLIT_TRAIN),
            "VALIDATION": lambda dataset: _count(dataset, ingest_pb2.SPLIT_VALIDATION),
            "TEST": lambda dataset: _count(dataset, ingest_pb2.SPLIT_TEST),
            "TAGS": lambda dataset: " ".join(dataset.tags),
            "CREATED": lambda dataset: time_text(dataset, "create_time"),
        }
        show_list(client.list_datasets(), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    name: NameArgument,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write a contact sheet: a file that ends in .png or .html.")
    ] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show a dataset's clips and splits; with --sheet, frames of each clip."""
    if sheet:
        check_sheet(sheet)
    with client_for(server, state) as client:
        dataset = client.get_dataset(full_name("datasets", name))
        rows = [("name", dataset.name), ("created", time_text(dataset, "create_time"))]
        if dataset.tags:
            rows.append(("tags", " ".join(dataset.tags)))
        for part in dataset.clips:
            use = ingest_pb2.Split.Name(part.split).removeprefix("SPLIT_").lower()
            rows.append((use, f"{part.clip} [{part.first_frame}, {part.end_frame or 'end'})"))
        if sheet:
            write_sheet(collect(client, dataset), sheet)
            rows.append(("sheet", str(sheet)))
        show_one(dataset, rows, as_json=json)


@app.command("delete")
def delete_command(
    name: NameArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete a dataset; its clips stay."""
    with client_for(server, state) as client:
        dataset = ingest_pb2.Dataset(name=full_name("datasets", name))
        client.delete_dataset(dataset.name)
        show_one(dataset, [("deleted", dataset.name)], as_json=json)


def _count(dataset: ingest_pb2.Dataset, use: ingest_pb2.Split.ValueType) -> int:
    return sum(part.split == use for part in dataset.clips)

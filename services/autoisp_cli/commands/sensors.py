"""``autoisp sensors``: sensor profiles, from files, from footage's metadata or measured."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from autoisp.ingest.v1 import ingest_pb2
from autoisp.ingest.v1 import sensor_profiles_pb2 as wire
from autoisp_client import Client
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import SensorProfile

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
from autoisp_cli.report.noise_charts import Reference
from autoisp_cli.report.noise_page import write_noise_page

app = typer.Typer(help="Sensor profiles: how cameras see.", no_args_is_help=True)

ProfileArgument = Annotated[
    str, typer.Argument(metavar="PROFILE", help="sensorProfiles/ID[/versions/N], or just the ID.")
]
NameOption = Annotated[str, typer.Option("--name", metavar="ID", help="The profile to add a version to.")]


class MethodChoice(StrEnum):
    """What a measurement compares."""

    STATIC = "static"
    FLAT = "flat"


_METHODS = {
    None: wire.CalibrationRequest.METHOD_UNSPECIFIED,
    MethodChoice.STATIC: wire.CalibrationRequest.METHOD_STATIC_FRAMES,
    MethodChoice.FLAT: wire.CalibrationRequest.METHOD_FLAT_PATCHES,
}


@app.command("list")
def list_command(
    name: Annotated[
        str | None,
        typer.Argument(metavar="PROFILE", help="All versions of this one; else the newest of each."),
    ] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
    limit: LimitOption = 100,
) -> None:
    """List sensor profiles, or the versions of one."""
    with client_for(server, state) as client:
        columns = {
            "NAME": lambda version: version.name,
            "FROM": _source,
            "NOISE": lambda version: _noise_text(version),
            "CREATED": lambda version: time_text(version, "create_time"),
        }
        parent = full_name("sensorProfiles", name or "-")
        show_list(client.list_sensor_profile_versions(parent), columns, as_json=json, limit=limit)


@app.command("show")
def show_command(
    name: ProfileArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Show a profile as TOML, ready to be written into a file."""
    with client_for(server, state) as client:
        version = client.get_sensor_profile_version(full_name("sensorProfiles", name))
        if json:
            show_one(version, [], as_json=True)
            return
        print(f"# {version.name}, from {_source(version)}\n{version.toml}", end="")


@app.command("import")
def import_command(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A profile as TOML, or a libcamera tuning file (JSON)."),
    ] = None,
    name: NameOption = "",
    from_clip: Annotated[
        str | None, typer.Option("--from-clip", metavar="CLIP", help="A raw clip, or a file to upload.")
    ] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Add a version from a file, or from the metadata of a raw clip.

    Without --name a file's own name becomes the profile's ID.
    """
    if (file is None) == (from_clip is None):
        raise InvalidArgumentError("FILE", "give either a FILE or --from-clip CLIP")
    if file is None and not name:
        raise InvalidArgumentError(
            "--name", "--name says what the profile is called: give one, such as mycam"
        )
    text = "" if file is None else _read(file)
    with client_for(server, state) as client:
        if from_clip is not None:
            clip = _clip(client, from_clip)
            version = client.create_sensor_profile_version(name, metadata_of=clip.name)
        elif file is not None and file.suffix.lower() == ".json":
            version = client.create_sensor_profile_version(name or file.stem, libcamera=text)
        else:
            assert file is not None
            version = client.create_sensor_profile_version(name or file.stem, toml=text)
        show_one(version, _rows(version), as_json=json)


@app.command("calibrate")
def calibrate_command(
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP…", help="Raw clips of one camera at one ISO, or files to upload."),
    ],
    name: NameOption,
    dark: Annotated[
        list[str],
        typer.Option("--dark", metavar="CLIP", help="The lens covered, for the black level; repeat."),
    ] = [],  # noqa: B006 - typer copies it
    method: Annotated[
        MethodChoice | None,
        typer.Option("--method", help="static: a tripod's frames; flat: patches without detail."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write a page with the curve (HTML).")
    ] = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Measure shot and read noise and the black level from raw footage, and add them as a version."""
    with client_for(server, state) as client:
        bright = [_clip(client, clip) for clip in clips]
        covered = [_clip(client, clip) for clip in dark]
        version = client.calibrate_sensor(
            name,
            [clip.name for clip in bright],
            dark_clips=[clip.name for clip in covered],
            method=_METHODS[method],
        )
        if out is not None:
            write_noise_page(out, version, _references(bright[0]))
        rows = _rows(version)
        show_one(version, [*rows, ("page", out)] if out else rows, as_json=json)


@app.command("delete")
def delete_command(
    name: ProfileArgument,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Delete a profile with all its versions; searches keep what they were created with."""
    with client_for(server, state) as client:
        version = wire.SensorProfileVersion(name=full_name("sensorProfiles", name))
        client.delete_sensor_profile(version.name)
        show_one(version, [("deleted", version.name)], as_json=json)


def _clip(client: Client, text: str) -> ingest_pb2.Clip:
    """The clip of this name, or a file uploaded."""
    return client.upload_clip(text) if Path(text).exists() else client.get_clip(full_name("clips", text))


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            "FILE", f"{file} can't be read as text; check the path: a TOML file, or libcamera's JSON"
        ) from error


def _references(clip: ingest_pb2.Clip) -> list[Reference]:
    """What the clip's own metadata says of its noise."""
    if not clip.HasField("sensor") or not clip.sensor.toml:
        return []
    noise = SensorProfile.from_toml(clip.sensor.toml).test_noise
    return [] if noise is None else [Reference("the footage's metadata", noise.shot, noise.read)]


def _rows(version: wire.SensorProfileVersion) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [("name", version.name), ("from", _source(version))]
    if version.HasField("calibration"):
        found = version.calibration
        rows += [
            ("shot", f"{found.noise.shot:.4g} ± {found.shot_interval:.1g}"),
            ("read", f"{found.noise.read:.4g} ± {found.read_interval:.1g}"),
            ("r²", f"{found.r_squared:.4f}"),
            ("levels", f"{found.black_level:g} to {found.white_level:g}"),
            ("method", f"{found.method}, {sum(found.counts):,} values"),
        ]
    return rows


def _noise_text(version: wire.SensorProfileVersion) -> str:
    noise = SensorProfile.from_toml(version.toml).test_noise
    return "" if noise is None else f"{noise.shot:.3g},{noise.read:.3g}"


def _source(version: wire.SensorProfileVersion) -> str:
    return wire.SensorProfileVersion.Source.Name(version.source).removeprefix("SOURCE_").lower()

"""``autoisp models lint``: whether the accelerators of phones run a network."""

from __future__ import annotations

import json as json_text
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError
from google.protobuf.json_format import ParseDict

from autoisp_cli.commands.common import (
    DEFAULT_STATE,
    JsonOption,
    ServerOption,
    StateOption,
    client_for,
    output_console,
)
from autoisp_cli.paths import expanded
from autoisp_cli.registry.short_names import version_name
from autoisp_cli.views.json_lines import message_dict
from autoisp_cli.views.lint import lint_view

_MODULE = "autoisp_worker.lint"
_USAGE = 2
_NOT_SUPPORTED = 1
_SECONDS = 300.0

DeviceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device", metavar="NAME|FILE.toml", help="A device profile; repeat for more; default: all."
    ),
]


def lint_command(
    target: Annotated[
        str, typer.Argument(metavar="FILE.onnx|MODEL[@VERSION]", help="A file, or a registered version.")
    ],
    device: DeviceOption = None,
    server: ServerOption = None,
    state: StateOption = DEFAULT_STATE,
    json: JsonOption = False,
) -> None:
    """Say which devices run a network, and why not.

    A file is looked at here; of a version, what the registry keeps of each of its formats is shown. Exit code
    1 if a device does not run it.

    \b
    autoisp models lint model.onnx --device phone-npu-10
    autoisp models lint night@champion
    """
    path, devices = expanded("FILE", Path(target)), device or []
    if path.suffix.lower() == ".onnx" or path.is_file():
        forms = [registry_pb2.EdgeFormat(format=str(path), lints=linted(path, devices))]
    else:
        forms = _kept(target, devices, server, state)
    if json:
        print(json_text.dumps([message_dict(form) for form in forms], indent=2))
    else:
        console = output_console()
        for form in forms:
            console.print(lint_view(form.format, form.lints))
            console.print()
    if not all(_runs_somehow(forms, lint.device) for form in forms for lint in form.lints):
        raise typer.Exit(_NOT_SUPPORTED)


def linted(path: Path, devices: list[str]) -> list[registry_pb2.DeviceLint]:
    """What the lint says of a file, in a process of its own: the command imports no pixels.

    Args:
        path: of the ONNX file.
        devices: names of shipped profiles, or paths of TOML files; none: all that are shipped.

    Raises:
        InvalidArgumentError: the file or a profile can't be read, or it ended the process that read it.
    """
    options = [f"--device={device}" for device in devices]
    command = [sys.executable, "-m", _MODULE, *options, "--", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        text = f"{path}: reading it took more than {_SECONDS:.0f} s; give a smaller graph"
        raise InvalidArgumentError("FILE", text) from error
    if done.returncode == _USAGE:
        raise InvalidArgumentError("FILE", done.stderr.strip())
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InvalidArgumentError("FILE", f"{path} ended the process that read it ({last}); check the file")
    return [ParseDict(one, registry_pb2.DeviceLint()) for one in json_text.loads(done.stdout)]


def _kept(target: str, devices: list[str], server: str | None, state: Path) -> list[registry_pb2.EdgeFormat]:
    """The formats of a version with what the registry keeps about the devices."""
    with client_for(server, state) as client:
        found = client.get_model_version(version_name(target))
    forms = [
        registry_pb2.EdgeFormat(
            format=f"{found.name} {form.format}",
            lints=[lint for lint in form.lints if not devices or lint.device in devices],
        )
        for form in found.formats
    ]
    there = {lint.device for form in forms for lint in form.lints}
    missing = [device for device in devices if device not in there]
    if missing or not there:
        what = f"nothing about {', '.join(missing)}" if missing else "no lint"
        raise FailedPreconditionError(
            f"the registry keeps {what} of {found.name}: lint its file, autoisp models download and "
            "autoisp models lint FILE.onnx",
            reason="NO_LINT",
        )
    return [form for form in forms if form.lints]


def _runs_somehow(forms: list[registry_pb2.EdgeFormat], device: str) -> bool:
    return any(lint.device == device and lint.supported for form in forms for lint in form.lints)

"""``python -m autoisp_worker.lint FILE.onnx --device NAME|FILE.toml …``: the operator lint of one file.

A process of its own for whoever may not import pixels, or does not trust the file. It writes the findings as
JSON, a list of `DeviceLint` messages, and ends with 0; with 2 and a message where something can't be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.lint import Accelerator, accelerator_named, parse_accelerator, shipped_names
from autoisp_isp.lint import MAX_BYTES, lint
from google.protobuf.json_format import MessageToDict

from autoisp_worker.wire_lint import lint_message

_USAGE = 2
_MOST_TOML_BYTES = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="autoisp_worker.lint", description="The operator lint.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--device", action="append", default=[], dest="devices")
    given = parser.parse_args(arguments)
    try:
        accelerators = [device(name) for name in given.devices or shipped_names()]
        found = lint(_read("FILE", given.file, MAX_BYTES), accelerators, field=str(given.file))
    except InvalidArgumentError as error:
        print(error.message, file=sys.stderr)
        return _USAGE
    messages = [MessageToDict(lint_message(one), preserving_proto_field_name=True) for one in found]
    print(json.dumps(messages))
    return 0


def device(name: str) -> Accelerator:
    """A shipped profile, or that of a TOML file.

    Raises:
        InvalidArgumentError: it is neither, or the file's text is no device profile.
    """
    if name in shipped_names() or not (name.endswith(".toml") or Path(name).is_file()):
        return accelerator_named(name, "--device")
    try:
        text = _read("--device", Path(name), _MOST_TOML_BYTES).decode()
        return parse_accelerator(text, "--device")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError("--device", f"--device {name}: no text in UTF-8; write TOML") from error
    except InvalidArgumentError as error:
        raise InvalidArgumentError("--device", f"--device {name}: {error.message}") from error


def _read(field: str, path: Path, most: int) -> bytes:
    """The bytes of a file, which is no device and has no end that nobody sees."""
    try:
        if not path.is_file():
            raise InvalidArgumentError(field, f"{path}: no such file; check the path")
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InvalidArgumentError(
            field, f"{path} can't be read: {error.strerror}; check the path"
        ) from error
    if len(data) > most:
        raise InvalidArgumentError(field, f"{path} has more than {most:,} bytes; give a smaller file")
    return data


if __name__ == "__main__":
    sys.exit(main())

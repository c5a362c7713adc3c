"""``autoisp-verify``: whether files are what a registry signed. Needs ``cryptography`` and nothing else."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from autoisp_core.errors import AutoISPError, InvalidArgumentError
from autoisp_core.release.checking import Release, check_release
from autoisp_core.release.ed25519 import MAX_PEM_BYTES, PublicKey

OK, NOT_GENUINE, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 all is genuine, 1 something is not, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        keys = [_key(path) for path in options.key]
        if not options.path.exists():
            raise InvalidArgumentError("path", f"{options.path}: there is no such file or folder")
    except OSError as error:  # of the path: those of keys are told by _key
        return _failed(f"{options.path}: {error.strerror}", USAGE, as_json=options.json)
    except InvalidArgumentError as error:
        return _failed(error.message, USAGE, as_json=options.json)
    try:
        release = check_release(options.path, keys, options.format, options.expect)
    except AutoISPError as error:
        return _failed(error.message, NOT_GENUINE, as_json=options.json)
    except OSError as error:
        return _failed(f"{options.path}: {error.strerror}", NOT_GENUINE, as_json=options.json)
    if options.json:
        print(json.dumps(_as_data(release), indent=1))
    else:
        _print(release)
    return OK if release.genuine else NOT_GENUINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoisp-verify",
        description="Check that the files of a model's version are those that a registry signed.",
        epilog="Exit codes: 0 all is genuine, 1 something is not, 2 wrong usage.",
    )
    parser.add_argument("path", type=Path, help="folder with a manifest.json, or the manifest itself")
    parser.add_argument(
        "--key", type=Path, action="append", required=True, metavar="PUB.pem", help="trusted key; repeatable"
    )
    parser.add_argument(
        "--format", action="append", default=[], metavar="FORMAT", help="check only this one; repeatable"
    )
    parser.add_argument(
        "--expect", default="", metavar="NAME", help="models/{m}/versions/{v} that it must be"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _key(path: Path) -> PublicKey:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PEM_BYTES)
        return PublicKey.from_pem(data)
    except InvalidArgumentError as error:
        raise InvalidArgumentError("key", f"{path}: {error.message}") from error
    except OSError as error:
        raise InvalidArgumentError("key", f"{path}: {error.strerror}") from error


def _failed(message: str, code: int, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"genuine": False, "error": message}, indent=1))
    else:
        print(f"error: {message}", file=sys.stderr)
    return code


def _print(release: Release) -> None:
    for check in release.files:
        print(f"{'failed' if check.problem else 'ok':<7} {check.file.name}", end="")
        print(f": {check.problem}" if check.problem else f"  {check.file.size_bytes} bytes")
    for name in release.strangers:
        # A name from a folder: it must not steer the terminal.
        print(f"warning: {name!r} is not in the manifest", file=sys.stderr)
    verdict = "genuine" if release.genuine else "NOT GENUINE"
    print(f"{release.manifest.name}: {verdict}, manifest signed by {release.key.key_id}")


def _as_data(release: Release) -> dict[str, object]:
    return {
        "genuine": release.genuine,
        "model_version": release.manifest.name,
        "key_id": release.key.key_id,
        "files": [
            {
                "name": check.file.name,
                "format": check.file.format,
                "ok": not check.problem,
                "problem": check.problem,
            }
            for check in release.files
        ],
        "not_in_manifest": list(release.strangers),
    }


def run() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    run()

"""Generates the Python code of the wire contract, or checks that the committed code is up to date.

Usage: python protos/generate.py [--check]

Generated code is committed and never edited by hand. Generator and runtime are pinned together in
constraints.txt, since code from one generator release needs at least that release of protobuf and grpcio.
"""

import argparse
import filecmp
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def generate(out: Path) -> None:
    """Generates the code of every .proto under this folder into `out`, which must exist."""
    protos = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    well_known = str(files("grpc_tools") / "_proto")
    bin_dir = Path(sys.executable).parent  # the plugins live beside the interpreter, which may not be on PATH
    arguments = [
        "protoc",
        f"--proto_path={ROOT}",
        f"--proto_path={well_known}",
        f"--plugin=protoc-gen-mypy={bin_dir / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={bin_dir / 'protoc-gen-mypy_grpc'}",
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out={out}",
        f"--mypy_grpc_out={out}",
        *protos,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; see its messages above")
    for empty in [*out.rglob("*_pb2_grpc.py"), *out.rglob("*_pb2_grpc.pyi")]:
        proto = ROOT / empty.relative_to(out).parent / (empty.name.split("_pb2_grpc")[0] + ".proto")
        if "\nservice " not in proto.read_text():
            empty.unlink()


def generated_files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.name.endswith(SUFFIXES)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed; change nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        new, old = generated_files(fresh), generated_files(ROOT)
        stale = sorted(
            path
            for path in new | old
            if path not in new or path not in old or not filecmp.cmp(fresh / path, ROOT / path, shallow=False)
        )
        if check:
            for path in stale:
                print(f"protos/{path} is not what its .proto generates: run `python protos/generate.py`")
            return 1 if stale else 0
        for path in old - new:
            (ROOT / path).unlink()
        for path in new:
            (ROOT / path).write_bytes((fresh / path).read_bytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether the files in a folder are what a signed manifest says."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from autoisp_core.errors import InvalidArgumentError, NotFoundError
from autoisp_core.release import MANIFEST_NAME
from autoisp_core.release.ed25519 import PublicKey, open_manifest
from autoisp_core.release.envelope import MAX_ENVELOPE_BYTES
from autoisp_core.release.manifest import Manifest, ReleaseFile

_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class FileCheck:
    """What was found of one file.

    Attributes:
        file: as the manifest lists it.
        problem: what is wrong with it; empty if nothing is.
    """

    file: ReleaseFile
    problem: str = ""


@dataclass(frozen=True)
class Release:
    """What a folder holds of a version.

    Attributes:
        manifest: genuine: a trusted key signed it.
        key: that key.
        files: every file that was to be checked.
        strangers: names of others in the folder, of which the manifest says nothing.
    """

    manifest: Manifest
    key: PublicKey
    files: tuple[FileCheck, ...]
    strangers: tuple[str, ...]

    @property
    def genuine(self) -> bool:
        """Whether all that was checked is what was signed."""
        return not any(check.problem for check in self.files)


def check_release(
    path: Path, trusted: Collection[PublicKey], formats: Sequence[str] = (), expected: str = ""
) -> Release:
    """Check the manifest at ``path``, or in the folder ``path``, and the files beside it.

    Args:
        path: of the manifest or its folder.
        trusted: keys of which one must have signed it.
        formats: check only these; the others may be missing. Empty: all.
        expected: ``models/{m}/versions/{v}`` that it must be of; empty: any.

    Raises:
        DataLossError, InvalidArgumentError: the manifest is not genuine, as of :func:`open_manifest`.
        NotFoundError: there is no manifest, or it lacks one of ``formats``.
    """
    manifest_path = path / MANIFEST_NAME if path.is_dir() else path
    manifest, key = read_manifest(manifest_path, trusted, expected)
    folder = manifest_path.parent
    known = {manifest_path.name, *(file.name for file in manifest.files)}
    return Release(
        manifest,
        key,
        tuple(FileCheck(file, file_problem(folder, file)) for file in files_of(manifest, formats)),
        tuple(sorted(entry.name for entry in folder.iterdir() if entry.name not in known)),
    )


def read_manifest(
    path: Path, trusted: Collection[PublicKey], expected: str = ""
) -> tuple[Manifest, PublicKey]:
    """The genuine manifest in the file at ``path``, and the key that signed it; see :func:`check_release`."""
    try:
        with _regular(path) as file:
            data = file.read(MAX_ENVELOPE_BYTES + 1)  # one too many is refused by the reader
    except _NoFileError as error:
        raise NotFoundError(str(path), f"{path} {error}; give a manifest or its folder") from error
    manifest, key = open_manifest(data, trusted)
    if expected and manifest.name != expected:
        raise InvalidArgumentError(
            "expect", f"the manifest is of {manifest.name}, not of {expected}", reason="OTHER_VERSION"
        )
    return manifest, key


def files_of(manifest: Manifest, formats: Sequence[str] = ()) -> list[ReleaseFile]:
    """The files of these formats, or all.

    Raises:
        NotFoundError: it lacks one of ``formats``.
    """
    has = {file.format for file in manifest.files}
    if missing := set(formats) - has:
        raise NotFoundError(
            manifest.name,
            f"{manifest.name} has no {', '.join(sorted(missing))}; it has {', '.join(sorted(has))}",
            reason="NO_FORMAT",
        )
    return [file for file in manifest.files if not formats or file.format in formats]


def file_problem(folder: Path, wanted: ReleaseFile) -> str:
    """What is wrong with a file in ``folder``, by its size and digest; empty if nothing is."""
    try:
        with _regular(folder / wanted.name) as file:
            size = os.fstat(file.fileno()).st_size
            if size != wanted.size_bytes:
                return f"has {size} bytes instead of {wanted.size_bytes}"
            digest, left = hashlib.sha256(), wanted.size_bytes
            # Not to the end: whoever still appends to it can't keep us here.
            while left and (block := file.read(min(left, _READ_BYTES))):
                digest.update(block)
                left -= len(block)
    except _NoFileError as error:
        return str(error)
    except OSError as error:
        return f"can't be read ({error.strerror})"
    return "" if digest.hexdigest() == wanted.sha256 else f"has SHA-256 {digest.hexdigest()}"


class _NoFileError(Exception):
    """There is no such file, or it is none."""


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """The file at ``path``: no link to another, no pipe that never answers."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        linked = path.is_symlink()
        raise _NoFileError("is a symbolic link" if linked else f"can't be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _NoFileError("is no regular file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        yield file

"""What may be imported: folders and prefixes of buckets, and nothing outside of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from autoisp_core.errors import InvalidArgumentError, PermissionDeniedError

SETTING = "AUTOISP_IMPORT_ROOTS"


@dataclass(frozen=True)
class BucketPath:
    """``s3://bucket/key``; the key is taken literally."""

    bucket: str
    key: str

    def is_inside(self, root: BucketPath) -> bool:
        """Whether this is ``root`` or below it: ``footage2`` is not inside of ``footage``."""
        if self.bucket != root.bucket:
            return False
        return not root.key or self.key == root.key or self.key.startswith(f"{root.key}/")


@dataclass(frozen=True)
class ImportRoots:
    """The allowed places; empty allows nothing.

    Args:
        folders: real paths, without links.
        buckets: prefixes.
    """

    folders: Sequence[Path] = ()
    buckets: Sequence[BucketPath] = ()

    @classmethod
    def parse(cls, text: str) -> ImportRoots:
        """From ``file:///FOLDER`` and ``s3://BUCKET/PREFIX``, with commas or spaces between.

        Raises:
            InvalidArgumentError: one is neither of the two.
        """
        folders, buckets = [], []
        for word in re.split(r"[,\s]+", text.strip()) if text.strip() else []:
            place = parse_uri(word, "import_roots")
            if isinstance(place, Path):
                folders.append(place.resolve())
            else:
                buckets.append(place)
        return cls(tuple(folders), tuple(buckets))

    def check_path(self, path: Path, uri: str) -> Path:
        """The real path, links and ``..`` resolved.

        Raises:
            PermissionDeniedError: it is outside of every folder. Whether it is there is not told.
        """
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no system takes
            real = None
        if real is None or not self._holds(real):
            raise self.denied(uri)
        return real

    def check_opened(self, descriptor: int, uri: str) -> None:
        """Check what was really opened: a path may have changed since it was checked.

        Raises:
            PermissionDeniedError: it is outside of every folder.
            OSError: the system does not tell.
        """
        if not self._holds(Path(os.readlink(f"/proc/self/fd/{descriptor}"))):
            raise self.denied(uri)

    def check_bucket(self, place: BucketPath, uri: str) -> None:
        """Check an object's place.

        Raises:
            PermissionDeniedError: it is under no allowed prefix.
        """
        if not any(place.is_inside(root) for root in self.buckets):
            raise self.denied(uri)

    def _holds(self, real: Path) -> bool:
        return any(real.is_relative_to(folder) for folder in self.folders)

    def denied(self, uri: str) -> PermissionDeniedError:
        """What to raise for a place outside of all these."""
        allowed = [folder.as_uri() for folder in self.folders]
        allowed += [f"s3://{root.bucket}/{root.key}".rstrip("/") for root in self.buckets]
        what = f"only what is inside of {', '.join(allowed)}" if allowed else "nothing, until it is set"
        return PermissionDeniedError(
            f"{uri!r} may not be imported: {SETTING} of the ingest service allows {what}; have the place "
            "added to it, or upload the footage",
            reason="OUTSIDE_OF_IMPORT_ROOTS",
            metadata={"field": "uri", "setting": SETTING},
        )


def parse_uri(uri: str, field: str) -> Path | BucketPath:
    """What a URI names.

    Raises:
        InvalidArgumentError: naming ``field``, for another kind of URI.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise _malformed(uri, field) from error
    if "\0" in unquote(uri) or len(uri) > 4096:
        raise _malformed(uri, field)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        return Path(unquote(uri.split(":", 1)[1].removeprefix("//").removeprefix("localhost")))
    if parts.scheme == "s3" and parts.netloc:
        key = uri.split("://", 1)[1].partition("/")[2].strip("/")
        if any(part in ("", ".", "..") for part in key.split("/")) and key:
            raise _malformed(uri, field)
        return BucketPath(parts.netloc, key)
    raise _malformed(uri, field)


def _malformed(uri: str, field: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        field,
        f"{uri[:200]!r} is no place to import from; give file:///FOLDER/FILE, file:///FOLDER of stills, or "
        "s3://BUCKET/KEY",
        reason="INVALID_URI",
    )

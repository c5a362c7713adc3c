"""Imports: footage that the server itself can read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from autoisp_core.errors import InvalidArgumentError

from autoisp_ingest.domain import Clip, UploadHeader
from autoisp_ingest.usecases.decode import DecodeClip
from autoisp_ingest.usecases.new_clips import NewClips
from autoisp_ingest.usecases.uploads import Spool


@dataclass(frozen=True)
class Source:
    """Footage at a place that imports are allowed from.

    Args:
        filename: with the extension that tells its kind.
        size_bytes: of all blocks.
        blocks: reads it, once, blocking.
        is_folder: the blocks are an archive made of a folder's files.
    """

    filename: str
    size_bytes: int
    blocks: Callable[[], Iterator[bytes]]
    is_folder: bool = False


class Sources(Protocol):
    """Finds what a URI names."""

    async def find(self, uri: str) -> Source:
        """The source, which may be read; nothing of it has been.

        Raises:
            InvalidArgumentError: that is no URI of a kind that is taken, or nothing is there.
            PermissionDeniedError: it is not inside of what the configuration allows, or the service's user
                may not read it. Blocks raise it, too.
            UnavailableError: the bucket can't be reached. Blocks raise it, too.
        """
        ...


class ImportClip:
    """Copies a source into the spool, and then treats it as an upload."""

    def __init__(self, sources: Sources, spool: Spool, new_clips: NewClips, decode: DecodeClip) -> None:
        self._sources = sources
        self._spool = spool
        self._new_clips = new_clips
        self._decode = decode

    async def __call__(self, uri: str, display_name: str = "", sha256: str = "") -> Clip:
        """Read, check, decode and store.

        The bytes are copied first: nobody may change them between their digest and their decoding.

        Returns:
            The new clip, or the one that the same bytes made before, whichever way they came.

        Raises:
            AutoISPError: as :meth:`Sources.find` and :meth:`Spool.take`, or the bytes are no footage that is
                taken, or have another digest than ``sha256``.
        """
        source = await self._sources.find(uri)
        if sha256 and source.is_folder:
            raise InvalidArgumentError(
                "sha256", f"{uri} is a folder, which has no digest of its own; leave sha256 empty"
            )
        with _naming_uri():
            UploadHeader(source.filename, source.size_bytes, "", display_name).check()
        async with self._spool.take(source.size_bytes, source.blocks()) as file:
            if sha256 and file.sha256 != sha256:
                raise InvalidArgumentError(
                    "sha256",
                    f"{uri} has SHA-256 {file.sha256}, and {sha256!r} was expected; check which is meant",
                    reason="DIGEST_MISMATCH",
                )
            known = await self._new_clips.find(file.sha256, file.size_bytes)
            if known:
                return known
            header = UploadHeader(source.filename, file.size_bytes, file.sha256, display_name)
            with _naming_uri():
                return await self._decode(header, file.path)


@contextmanager
def _naming_uri() -> Iterator[None]:
    """Says ``uri`` where an upload's error names its header or its chunks."""
    try:
        yield
    except InvalidArgumentError as error:
        field = "display_name" if error.field == "header.display_name" else "uri"
        raise InvalidArgumentError(
            field, error.message, reason=error.reason, metadata=error.metadata
        ) from error

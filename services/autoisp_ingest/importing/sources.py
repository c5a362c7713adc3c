"""From a URI to what can be read there, if that is allowed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
from autoisp_client.payload import clip_payload
from autoisp_core.errors import InvalidArgumentError, UnavailableError
from obstore.exceptions import BaseError
from obstore.store import from_url

from autoisp_ingest.importing.roots import BucketPath, ImportRoots, parse_uri
from autoisp_ingest.usecases import Source

_BLOCK_BYTES = 4 << 20


class AllowedSources:
    """Files, folders of stills and objects inside of ``roots``."""

    def __init__(self, roots: ImportRoots) -> None:
        self._roots = roots

    async def find(self, uri: str) -> Source:
        """See :class:`autoisp_ingest.usecases.Sources`."""
        place = parse_uri(uri, "uri")
        if isinstance(place, BucketPath):
            self._roots.check_bucket(place, uri)
            return await asyncio.to_thread(_object, place, uri)
        return await asyncio.to_thread(self._local, place, uri)

    def _local(self, path: Path, uri: str) -> Source:
        real = self._roots.check_path(path, uri)
        if real.is_dir():
            for entry in os.scandir(real):
                # A link in an allowed folder must not be a way out of it.
                self._roots.check_path(Path(entry.path), uri)
        payload = clip_payload(real, "uri")

        def blocks() -> Iterator[bytes]:
            with _as_unreadable(uri):
                yield from payload.blocks(0)

        return Source(payload.filename, payload.size_bytes, blocks, is_folder=real.is_dir())


def _object(place: BucketPath, uri: str) -> Source:
    if not place.key:
        raise InvalidArgumentError("uri", f"{uri!r} is a whole bucket; give s3://BUCKET/KEY of one file")
    with _as_unreadable(uri):
        store = from_url(f"s3://{place.bucket}")
        size_bytes = int(obstore.head(store, place.key)["size"])

    def blocks() -> Iterator[bytes]:
        with _as_unreadable(uri):
            for block in obstore.get(store, place.key).stream(min_chunk_size=_BLOCK_BYTES):
                yield bytes(block)

    if size_bytes == 0:
        raise InvalidArgumentError("uri", f"{uri!r} is empty; give a file with content")
    return Source(place.key.rsplit("/", 1)[-1], size_bytes, blocks)


@contextmanager
def _as_unreadable(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            "uri", f"there is nothing at {uri!r}; check the name", reason="NO_SOURCE"
        ) from error
    except (BaseError, OSError) as error:
        raise UnavailableError(
            f"{uri!r} can't be read: {(str(error) or type(error).__name__).splitlines()[0]}; check the "
            "service's access to it and try again",
            reason="SOURCE_UNAVAILABLE",
            metadata={"field": "uri"},
        ) from error

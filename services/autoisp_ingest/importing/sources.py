"""From a URI to what can be read there, if that is allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import obstore
from autoisp_core.errors import InvalidArgumentError
from obstore.exceptions import BaseError
from obstore.store import from_url

from autoisp_ingest.importing.local import local_source, unavailable
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
        return await asyncio.to_thread(local_source, self._roots, place, uri)


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
        raise unavailable(uri, error) from error

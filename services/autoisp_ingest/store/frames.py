"""Decoded frames as Zarr v3 in the artifact store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import zarr
from autoisp_core.errors import AutoISPError, ResourceExhaustedError, UnavailableError
from autoisp_runtime.artifacts import ArtifactStore, says_full
from obstore.exceptions import BaseError
from zarr.codecs import ZstdCodec

from autoisp_ingest.domain import Frame

_BATCH_BYTES = 24 << 20


class ZarrFrameStore:
    """One array per clip: (frames, height, width, 3) uint8.

    A chunk is one whole frame, since readers take a few neighbouring frames at random places; Zstandard's
    fastest level nearly halves real footage and costs less than the disk it saves.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def write(self, uri: str, width: int, height: int, frames: Iterable[Frame]) -> int:
        """See :meth:`autoisp_ingest.usecases.FrameStore.write`."""
        with _typed_errors(self._store.url):
            array = zarr.create_array(
                self._store.zarr_store(uri),
                shape=(0, height, width, 3),
                chunks=(1, height, width, 3),
                dtype="uint8",
                compressors=ZstdCodec(level=1),
                dimension_names=("frame", "y", "x", "channel"),
                attributes={"colour": "sRGB"},
            )
        per_batch = max(1, _BATCH_BYTES // (width * height * 3))
        iterator = iter(frames)
        # Appending keeps the shape right whatever the source announced, at one small write per batch.
        while batch := list(islice(iterator, per_batch)):
            with _typed_errors(self._store.url):
                array.append(np.stack(batch))
        return int(array.shape[0])

    def delete(self, uri: str) -> None:
        """See :meth:`autoisp_ingest.usecases.FrameStore.delete`."""
        self._store.delete_prefix(uri)


@contextmanager
def _typed_errors(url: str) -> Iterator[None]:
    """Zarr passes the store's own exceptions on."""
    try:
        yield
    except AutoISPError:
        raise
    except (BaseError, OSError) as error:
        if says_full(error):
            raise ResourceExhaustedError(
                f"the artifact store {url} is full; free space there or point AUTOISP_STORE_URL elsewhere "
                "(nothing of the clip is kept)",
                reason="STORE_FULL",
                metadata={"store": url},
            ) from error
        raise UnavailableError(
            f"the artifact store {url} failed: {(str(error) or type(error).__name__).splitlines()[0]}",
            reason="STORE_UNAVAILABLE",
            metadata={"store": url},
        ) from error

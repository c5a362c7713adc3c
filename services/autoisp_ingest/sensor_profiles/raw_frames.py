"""Reads the mosaics of raw clips out of the artifact store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from numpy.typing import NDArray

from autoisp_ingest.domain import Clip
from autoisp_ingest.sensor_profiles.ports import RawFrames


class StoredRawReader:
    """:class:`autoisp_ingest.sensor_profiles.ports.RawReader` over the frames that ingest stored."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    @contextmanager
    def open(self, clip: Clip) -> Iterator[RawFrames]:
        """See the port."""
        frames = ClipFrames.open(self._store, clip.frames_uri)

        def read(first: int, end: int) -> NDArray[np.integer[Any]]:
            mosaics: NDArray[np.integer[Any]] = frames.stored(first, end)["frames"]
            return mosaics

        yield read

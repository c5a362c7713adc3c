"""What the use cases need of the world."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from autoisp_core.artifact import Artifact
from autoisp_core.frames import Box, FrameFormat
from autoisp_core.pagination import Page, PageRequest
from autoisp_core.sensor import SensorProfile
from numpy.typing import NDArray

from autoisp_ingest.domain import Clip, Dataset, DatasetClip, Footage, UploadHeader


class FootageDecoder(Protocol):
    """Reads video files and archives of stills. Blocks; used from one thread at a time per source."""

    def open(self, path: Path, header: UploadHeader) -> AbstractContextManager[Footage]:
        """Open ``path``, whose name and kind are those of ``header``; close it at the context's end.

        Raises:
            InvalidArgumentError: it can't be read, is damaged or cut off, or is against a limit. The frames'
                iterator raises it too, since much shows only while decoding.
        """
        ...


class FrameWriter(Protocol):
    """Takes the frames of one clip, in order. For one thread."""

    @property
    def count(self) -> int:
        """Frames taken so far."""
        ...

    @property
    def stored(self) -> int:
        """Frames that are in the store: those taken less a block that waits to be written."""
        ...

    def append(self, planes: Sequence[NDArray[Any]], time_ns: int) -> None:
        """Take one frame; its planes may change afterwards.

        Raises:
            InvalidArgumentError: they are not as the format says.
            ResourceExhaustedError: no space is left. What was written stays for :meth:`FrameStore.delete`.
            UnavailableError: the store can't be reached.
        """
        ...


class FrameReader(Protocol):
    """One clip, opened. Blocks; for one thread at a time. Methods raise as :meth:`FrameStore.open` does."""

    format: FrameFormat

    @property
    def rgb_size(self) -> tuple[int, int]:
        """Width and height of an RGB picture."""
        ...

    @property
    def rgb_dtype(self) -> str:
        """``uint8`` or ``uint16``."""
        ...

    @property
    def steps(self) -> tuple[int, int]:
        """Of what a box of stored pixels must begin and end at multiples: columns, rows."""
        ...

    def times_ns(self) -> NDArray[Any]:
        """Each frame's time since the first."""
        ...

    def stored(
        self, first: int, end: int, box: Box | None = None, names: Collection[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Planes of frames [first, end) as they are stored; those in ``names`` if it has any."""
        ...

    def rgb(self, first: int, end: int, box: Box | None = None) -> NDArray[Any]:
        """Frames [first, end) as upright sRGB (n, H, W, 3)."""
        ...


class FrameStore(Protocol):
    """Keeps frames as their source's decoder gave them. Blocks."""

    def writer(
        self, uri: str, frame_format: FrameFormat, sensor: SensorProfile | None
    ) -> AbstractContextManager[FrameWriter]:
        """Begin a clip under ``uri``. It can be read once the context has ended without an error; entering
        and ending it raise as :meth:`FrameWriter.append` does.
        """
        ...

    def open(self, uri: str) -> FrameReader:
        """Open the clip that was written under ``uri``.

        Raises:
            NotFoundError: there is none.
            DataLossError: it is damaged.
            UnavailableError: the store can't be reached.
        """
        ...

    def gathered_bytes(self, frame_format: FrameFormat) -> int:
        """Most that a writer holds in memory: of the frames that it has taken and not stored yet."""
        ...

    def delete(self, uri: str) -> None:
        """Delete all that is under ``uri``, if anything is.

        Raises:
            UnavailableError: the store can't be reached.
        """
        ...


class IngestStore(Protocol):
    """Remembers clips, datasets, and which frames belong to nobody. Every method is one transaction."""

    async def reserve_frames(self, uri: str, owner: str, at: datetime) -> None:
        """Note that ``owner`` writes frames under ``uri`` that no clip has yet."""
        ...

    async def renew_frames(self, uri: str, at: datetime) -> bool:
        """Note that ``uri`` is still being written; False if nothing notes it any more, or it is given up."""
        ...

    async def give_up_frames(self, uri: str, owner: str, before: datetime) -> bool:
        """Settle that no clip will have ``uri``, if it is still noted as :meth:`unowned_frames` says.

        Returns:
            Whether its frames may be deleted.
        """
        ...

    async def release_frames(self, uri: str) -> None:
        """Forget ``uri``: its frames are deleted."""
        ...

    async def unowned_frames(self, owner: str, before: datetime) -> list[str]:
        """Frames without a clip that ``owner`` noted at any time, or anybody before ``before``."""
        ...

    async def add_clip(self, clip: Clip) -> Clip:
        """Make the clip visible, give it its reserved frames, and say so in a clip.ingested event.

        Returns:
            The clip; or the one with the same id that was there already, and then nothing changes.

        Raises:
            AbortedError: its frames are not reserved any more: somebody cleared them up.
        """
        ...

    async def get_clip(self, clip_id: str) -> Clip | None:
        """The clip, or None."""
        ...

    async def find_clips(self, clip_ids: Sequence[str]) -> dict[str, Clip]:
        """Those that exist, by id."""
        ...

    async def list_clips(self, request: PageRequest) -> Page[Clip]:
        """A page of clips, oldest first."""
        ...

    async def remove_clip(self, clip_id: str, owner: str, at: datetime) -> Clip:
        """Make the clip invisible; its frames are noted as ``owner``'s until they are deleted.

        Raises:
            NotFoundError: there is no such clip.
            FailedPreconditionError: a dataset holds it; the message names the datasets.
        """
        ...

    async def add_dataset(self, dataset: Dataset) -> None:
        """Add the dataset as not yet published.

        Raises:
            AlreadyExistsError: its id, or its request_id, is taken.
            AbortedError: a clip was deleted meanwhile.
        """
        ...

    async def mark_published(self, dataset_id: str) -> None:
        """Note that workers and services can find the dataset."""
        ...

    async def unpublished_datasets(self) -> list[Dataset]:
        """Datasets whose publication was cut off by a crash."""
        ...

    async def get_dataset(self, dataset_id: str) -> Dataset | None:
        """The dataset, or None."""
        ...

    async def find_request(self, request_id: str) -> Dataset | None:
        """The dataset that the request with this id made, or None."""
        ...

    async def list_datasets(self, request: PageRequest) -> Page[Dataset]:
        """A page of datasets, oldest first."""
        ...

    async def remove_dataset(self, dataset_id: str) -> None:
        """Remove the dataset; its clips stay.

        Raises:
            NotFoundError: there is no such dataset.
        """
        ...


class DatasetPublisher(Protocol):
    """Puts datasets where other services and workers find them without asking ingest."""

    async def store_manifest(
        self, dataset_id: str, parts: Sequence[DatasetClip], clips: Mapping[str, Clip]
    ) -> Artifact:
        """Store the manifest; ``clips`` has every part's clip by id."""
        ...

    async def publish(self, dataset: Dataset) -> None:
        """Make the dataset known under its id; again is the same as once."""
        ...

    async def withdraw(self, dataset_id: str) -> None:
        """Make it unknown; again is the same as once."""
        ...

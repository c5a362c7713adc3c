"""Making, reading and deleting datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from autoisp_core.ids import new_id, validate_user_id
from autoisp_core.names import CLIP, DATASET
from autoisp_core.pagination import Page, PageRequest

from autoisp_ingest.domain import Dataset, RequestedClip, check_tags, resolve_clips
from autoisp_ingest.domain.clips import MAX_TEXT
from autoisp_ingest.usecases.ports import DatasetPublisher, IngestStore

_MAX_REQUEST_ID = 128


@dataclass(frozen=True)
class NewDataset:
    """What somebody asks for; unchecked."""

    clips: Sequence[RequestedClip]
    dataset_id: str = ""
    display_name: str = ""
    request_id: str = ""
    tags: Sequence[str] = ()

    def check(self) -> None:
        """Check all but the clips.

        Raises:
            InvalidArgumentError: naming the field.
        """
        if self.dataset_id:
            validate_user_id(self.dataset_id, "dataset_id")
        if len(self.display_name) > MAX_TEXT or not self.display_name.isprintable():
            raise InvalidArgumentError(
                "display_name",
                f"display_name must have at most {MAX_TEXT} printable characters, got {self.display_name!r}",
            )
        if len(self.request_id) > _MAX_REQUEST_ID or not self.request_id.isprintable():
            raise InvalidArgumentError(
                "request_id",
                f"request_id must have at most {_MAX_REQUEST_ID} printable characters, such as a UUID; "
                f"got {self.request_id!r}",
            )
        check_tags(self.tags)


class Datasets:
    """The collection ``datasets``."""

    def __init__(self, store: IngestStore, publisher: DatasetPublisher) -> None:
        self._store = store
        self._publisher = publisher

    async def create(self, new: NewDataset) -> Dataset:
        """Make a dataset and let workers find it.

        Returns:
            The new dataset, or the one that the same request_id made before.

        Raises:
            InvalidArgumentError: naming the field.
            AlreadyExistsError: the id is taken.
            AbortedError: a clip was deleted meanwhile.
        """
        new.check()
        made = await self._made_by(new.request_id)
        if made:
            return made
        if new.dataset_id and await self._store.get_dataset(new.dataset_id):
            raise AlreadyExistsError(f"datasets/{new.dataset_id}")
        dataset = await self._resolve(new)
        try:
            await self._store.add_dataset(dataset)
        except AlreadyExistsError:
            made = await self._made_by(new.request_id)  # the same request, twice at once
            if made:
                return made
            raise
        await self._publish(dataset)
        return dataset

    async def get(self, name: str) -> Dataset:
        """The dataset called ``datasets/{d}``.

        Raises:
            InvalidArgumentError: that is no dataset's name.
            NotFoundError: there is no such dataset.
        """
        (dataset_id,) = DATASET.parse(name)
        dataset = await self._store.get_dataset(dataset_id)
        if dataset is None:
            raise NotFoundError(name)
        return dataset

    async def list(self, page_size: int, page_token: str) -> Page[Dataset]:
        """A page of datasets, oldest first.

        Raises:
            InvalidArgumentError: a negative size, or a token that no list gave out.
        """
        return await self._store.list_datasets(PageRequest.parse(page_size, page_token, "datasets"))

    async def delete(self, name: str) -> None:
        """Delete the dataset, not its clips.

        Raises:
            InvalidArgumentError: that is no dataset's name.
            NotFoundError: there is no such dataset.
        """
        dataset = await self.get(name)
        # In this order a crash in between leaves a dataset that can be deleted again, never one that others
        # find and ingest does not.
        await self._publisher.withdraw(dataset.id)
        await self._store.remove_dataset(dataset.id)

    async def _made_by(self, request_id: str) -> Dataset | None:
        dataset = await self._store.find_request(request_id) if request_id else None
        if dataset:
            await self._publish(dataset)  # the first attempt may have died before it came to that
        return dataset

    async def _publish(self, dataset: Dataset) -> None:
        await self._publisher.publish(dataset)
        await self._store.mark_published(dataset.id)

    async def _resolve(self, new: NewDataset) -> Dataset:
        ids = [CLIP.parse(request.clip, f"clips[{index}].clip")[0] for index, request in enumerate(new.clips)]
        clips = await self._store.find_clips(ids)
        parts = resolve_clips(new.clips, {clip.name: clip for clip in clips.values()})
        dataset_id = new.dataset_id or new_id("d")
        manifest = await self._publisher.store_manifest(dataset_id, parts, clips)
        return Dataset(
            dataset_id,
            new.display_name,
            parts,
            manifest,
            datetime.now(UTC),
            request_id=new.request_id,
            tags=tuple(new.tags),
        )

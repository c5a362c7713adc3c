"""The asyncio client: the methods of :class:`autoisp_client.Client`, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from autoisp.evaluation.v1 import evaluation_pb2_grpc
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc, sensor_profiles_pb2_grpc
from autoisp.registry.v1 import registry_pb2_grpc, rollouts_pb2_grpc
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_core.frames import Box

from autoisp_client import requests
from autoisp_client.access import Access, Tls
from autoisp_client.acting import actor_metadata
from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.aio_evaluations import AsyncEvaluationCalls
from autoisp_client.aio_ways_in import AsyncWaysIn
from autoisp_client.endpoints import Endpoints
from autoisp_client.frames import Frame, FrameAssembler, Values, frames_request
from autoisp_client.live_evaluation import AsyncLiveEvaluation
from autoisp_client.operations import AsyncOperationsCalls
from autoisp_client.rollouts import AsyncRolloutCalls
from autoisp_client.sensor_profiles import AsyncSensorProfileCalls


class AsyncClient(
    AsyncEvaluationCalls,
    AsyncRolloutCalls,
    AsyncSensorProfileCalls,
    AsyncWaysIn,
    AsyncLiveEvaluation,
    AsyncOperationsCalls,
):
    """As :class:`autoisp_client.Client`, for asyncio: calls are awaited, lists and watches are iterated.

    It belongs to the event loop in which it is made.

    >>> import asyncio
    >>> from autoisp_client import AsyncClient
    >>> async def names(server: str) -> list[str]:
    ...     async with AsyncClient(server, patience=0) as client:
    ...         return [model.name async for model in client.list_models()]
    >>> asyncio.run(names("127.0.0.1:9"))
    Traceback (most recent call last):
    ...
    autoisp_core.errors.UnavailableError: no answer from 127.0.0.1:9 (the registry service); check the \
address, or start it with 'autoisp up'
    """

    def __init__(
        self,
        server: Endpoints | str,
        *,
        patience: float = 5.0,
        actor: str | None = None,
        tls: Tls | bool | None = None,
        token: str | None = None,
    ) -> None:
        self.endpoints = server if isinstance(server, Endpoints) else Endpoints.parse(server)
        access, acting = Access.chosen(tls, token), actor_metadata(actor)
        self._ingest = AsyncConnection("ingest", self.endpoints.ingest, patience, access=access)
        self._search = AsyncConnection("search", self.endpoints.search, patience, access=access)
        self._evaluation = AsyncConnection("evaluation", self.endpoints.evaluation, patience, access=access)
        self._registry = AsyncConnection("registry", self.endpoints.registry, patience, acting, access)
        self._live = AsyncConnection("live evaluation", self.endpoints.live, patience, access=access)
        self._ingest_stub = ingest_pb2_grpc.IngestServiceStub(self._ingest.channel)
        self._sensor_stub = sensor_profiles_pb2_grpc.SensorProfileServiceStub(self._ingest.channel)
        self._search_stub = search_pb2_grpc.SearchServiceStub(self._search.channel)
        self._evaluation_stub = evaluation_pb2_grpc.EvaluationServiceStub(self._evaluation.channel)
        self._registry_stub = registry_pb2_grpc.RegistryServiceStub(self._registry.channel)
        self._rollout_stub = rollouts_pb2_grpc.RolloutServiceStub(self._registry.channel)
        self._live_stub = evaluation_pb2_grpc.LiveEvaluationServiceStub(self._live.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every call and closes the connections."""
        for connection in (self._ingest, self._search, self._evaluation, self._registry, self._live):
            await connection.close()

    # -- clips and datasets

    async def get_clip(self, name: str) -> ingest_pb2.Clip:
        """The clip ``clips/{c}``."""
        return await self._ingest.unary(self._ingest_stub.GetClip, ingest_pb2.GetClipRequest(name=name))

    def list_clips(self, *, page_size: int = 0) -> AsyncIterator[ingest_pb2.Clip]:
        """All clips."""
        request = ingest_pb2.ListClipsRequest(page_size=page_size)
        return self._ingest.pages(self._ingest_stub.ListClips, request, lambda page: page.clips)

    async def read_frames(
        self, clip: str, first: int = 0, end: int = 0, *, step: int = 1, box: Box | None = None
    ) -> AsyncIterator[tuple[int, Values]]:
        """Frames [first, end) of a clip, every ``step``-th, as pictures; ``end`` 0 means to the clip's end.

        Args:
            clip: ``clips/{c}``.
            box: pixels of the upright picture; None: all of it.

        Yields:
            Nanoseconds since the clip's first frame, and sRGB (H, W, 3): uint8 of clips with 8 bits, else
            uint16.
        """
        request = frames_request(clip, first, end, step, box, "rgb")
        async for time_ns, planes in self._frames(request):
            yield time_ns, planes["frames"]

    def read_planes(
        self, clip: str, first: int = 0, end: int = 0, *, step: int = 1, box: Box | None = None
    ) -> AsyncIterator[Frame]:
        """As :meth:`read_frames`, with planes as they are stored, by name; ``box`` is of stored pixels."""
        return self._frames(frames_request(clip, first, end, step, box, "stored"))

    async def _frames(self, request: ingest_pb2.ReadFramesRequest) -> AsyncIterator[Frame]:
        frames = FrameAssembler(request)
        messages = self._ingest.watch(self._ingest_stub.ReadFrames, request, lambda _: frames.done)
        async for message in messages:
            frame = frames.take(message)
            if frame is not None:
                yield frame

    async def delete_clip(self, name: str) -> None:
        """Deletes a clip that no dataset holds."""
        await self._ingest.unary(self._ingest_stub.DeleteClip, ingest_pb2.DeleteClipRequest(name=name))

    async def create_dataset(
        self,
        clips: Sequence[ingest_pb2.DatasetClip],
        *,
        dataset_id: str = "",
        display_name: str = "",
        request_id: str = "",
        tags: Sequence[str] = (),
    ) -> ingest_pb2.Dataset:
        """Groups clips into training, validation and test splits."""
        request = requests.dataset_request(clips, dataset_id, display_name, request_id, tags)
        return await self._ingest.unary(self._ingest_stub.CreateDataset, request)

    async def get_dataset(self, name: str) -> ingest_pb2.Dataset:
        """The dataset ``datasets/{d}``."""
        return await self._ingest.unary(self._ingest_stub.GetDataset, ingest_pb2.GetDatasetRequest(name=name))

    def list_datasets(self, *, page_size: int = 0) -> AsyncIterator[ingest_pb2.Dataset]:
        """All datasets."""
        request = ingest_pb2.ListDatasetsRequest(page_size=page_size)
        return self._ingest.pages(self._ingest_stub.ListDatasets, request, lambda page: page.datasets)

    async def delete_dataset(self, name: str) -> None:
        """Deletes a dataset; its clips stay."""
        await self._ingest.unary(self._ingest_stub.DeleteDataset, ingest_pb2.DeleteDatasetRequest(name=name))

    # -- searches

    async def validate_search(self, search: search_pb2.Search, *, search_id: str = "") -> search_pb2.Search:
        """Checks a search without starting it; returns it with every default filled in."""
        request = search_pb2.ValidateSearchRequest(search_id=search_id, search=search)
        return await self._search.unary(self._search_stub.ValidateSearch, request)

    async def create_search(
        self, search: search_pb2.Search, *, search_id: str = "", request_id: str = ""
    ) -> search_pb2.Search:
        """Starts a search."""
        request = search_pb2.CreateSearchRequest(
            search_id=search_id, search=search, request_id=requests.request_id(request_id)
        )
        return await self._search.unary(self._search_stub.CreateSearch, request)

    async def get_search(self, name: str) -> search_pb2.Search:
        """The search ``searches/{s}``."""
        return await self._search.unary(self._search_stub.GetSearch, search_pb2.GetSearchRequest(name=name))

    def list_searches(self, *, page_size: int = 0) -> AsyncIterator[search_pb2.Search]:
        """All searches."""
        request = search_pb2.ListSearchesRequest(page_size=page_size)
        return self._search.pages(self._search_stub.ListSearches, request, lambda page: page.searches)

    async def cancel_search(self, name: str) -> search_pb2.Search:
        """Stops a search; running trials end at their next step."""
        return await self._search.unary(
            self._search_stub.CancelSearch, search_pb2.CancelSearchRequest(name=name)
        )

    def watch_search(self, name: str) -> AsyncIterator[search_pb2.SearchUpdate]:
        """A snapshot, then what changes, until the search has ended; survives a restart of the service."""
        request = search_pb2.WatchSearchRequest(name=name)
        return self._search.watch(self._search_stub.WatchSearch, request, requests.update_is_last)

    async def get_trial(self, name: str) -> search_pb2.Trial:
        """The trial ``searches/{s}/trials/{t}``."""
        return await self._search.unary(self._search_stub.GetTrial, search_pb2.GetTrialRequest(name=name))

    def list_trials(self, search: str, *, page_size: int = 0) -> AsyncIterator[search_pb2.Trial]:
        """All trials of ``searches/{s}``."""
        request = search_pb2.ListTrialsRequest(parent=search, page_size=page_size)
        return self._search.pages(self._search_stub.ListTrials, request, lambda page: page.trials)

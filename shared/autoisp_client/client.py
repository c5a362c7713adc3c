"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from autoisp_client.connection import Connection
from autoisp_client.endpoints import Endpoints
from autoisp_client.evaluations import EvaluationCalls
from autoisp_client.frames import Frame, FrameAssembler, Values, frames_request
from autoisp_client.live_evaluation import LiveEvaluation
from autoisp_client.operations import OperationsCalls
from autoisp_client.rollouts import RolloutCalls
from autoisp_client.sensor_profiles import SensorProfileCalls
from autoisp_client.ways_in import WaysIn


class Client(EvaluationCalls, RolloutCalls, SensorProfileCalls, WaysIn, LiveEvaluation, OperationsCalls):
    """Everything that the services offer, as plain calls on generated messages.

    Every method raises the classes of :mod:`autoisp_core.errors`: what the server said, or
    :class:`~autoisp_core.errors.UnavailableError` naming the address when nobody answered. Calls are
    repeated while nobody answers, for ``patience`` seconds; creates carry a ``request_id``, so nothing is
    created twice. One client may be used from several threads.

    Args:
        server: :class:`Endpoints`, or the text that :meth:`Endpoints.parse` reads.
        patience: seconds.
        actor: who makes the changes, for the registry's audit log; None: the operating system's user. Servers
            that ask for tokens or certificates write down the name of these instead.
        tls: True: with the authorities that this machine trusts; False: none; None: as ``AUTOISP_CA``,
            ``AUTOISP_CLIENT_CERT`` and ``AUTOISP_CLIENT_KEY`` say.
        token: None: ``AUTOISP_TOKEN``, or what is in the file ``AUTOISP_TOKEN_FILE``.

    >>> from autoisp_client import Client
    >>> with Client("127.0.0.1:9", patience=0) as client:
    ...     client.get_search("searches/s")
    Traceback (most recent call last):
    ...
    autoisp_core.errors.UnavailableError: no answer from 127.0.0.1:9 (the search service); check the \
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
        self._ingest = Connection("ingest", self.endpoints.ingest, patience, access=access)
        self._search = Connection("search", self.endpoints.search, patience, access=access)
        self._evaluation = Connection("evaluation", self.endpoints.evaluation, patience, access=access)
        self._registry = Connection("registry", self.endpoints.registry, patience, acting, access)
        self._live = Connection("live evaluation", self.endpoints.live, patience, access=access)
        self._ingest_stub = ingest_pb2_grpc.IngestServiceStub(self._ingest.channel)
        self._sensor_stub = sensor_profiles_pb2_grpc.SensorProfileServiceStub(self._ingest.channel)
        self._search_stub = search_pb2_grpc.SearchServiceStub(self._search.channel)
        self._evaluation_stub = evaluation_pb2_grpc.EvaluationServiceStub(self._evaluation.channel)
        self._registry_stub = registry_pb2_grpc.RegistryServiceStub(self._registry.channel)
        self._rollout_stub = rollouts_pb2_grpc.RolloutServiceStub(self._registry.channel)
        self._live_stub = evaluation_pb2_grpc.LiveEvaluationServiceStub(self._live.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every call and closes the connections."""
        for connection in (self._ingest, self._search, self._evaluation, self._registry, self._live):
            connection.close()

    # -- clips and datasets

    def get_clip(self, name: str) -> ingest_pb2.Clip:
        """The clip ``clips/{c}``."""
        return self._ingest.unary(self._ingest_stub.GetClip, ingest_pb2.GetClipRequest(name=name))

    def list_clips(self, *, page_size: int = 0) -> Iterator[ingest_pb2.Clip]:
        """All clips."""
        request = ingest_pb2.ListClipsRequest(page_size=page_size)
        return self._ingest.pages(self._ingest_stub.ListClips, request, lambda page: page.clips)

    def read_frames(
        self, clip: str, first: int = 0, end: int = 0, *, step: int = 1, box: Box | None = None
    ) -> Iterator[tuple[int, Values]]:
        """Frames [first, end) of a clip, every ``step``-th, as pictures; ``end`` 0 means to the clip's end.

        Args:
            clip: ``clips/{c}``.
            box: pixels of the upright picture; None: all of it.

        Yields:
            Nanoseconds since the clip's first frame, and sRGB (H, W, 3): uint8 of clips with 8 bits, else
            uint16.
        """
        request = frames_request(clip, first, end, step, box, "rgb")
        for time_ns, planes in self._frames(request):
            yield time_ns, planes["frames"]

    def read_planes(
        self, clip: str, first: int = 0, end: int = 0, *, step: int = 1, box: Box | None = None
    ) -> Iterator[Frame]:
        """As :meth:`read_frames`, with planes as they are stored, by name; ``box`` is of stored pixels."""
        return self._frames(frames_request(clip, first, end, step, box, "stored"))

    def _frames(self, request: ingest_pb2.ReadFramesRequest) -> Iterator[Frame]:
        frames = FrameAssembler(request)
        messages = self._ingest.watch(self._ingest_stub.ReadFrames, request, lambda _: frames.done)
        for message in messages:
            frame = frames.take(message)
            if frame is not None:
                yield frame

    def delete_clip(self, name: str) -> None:
        """Deletes a clip that no dataset holds."""
        self._ingest.unary(self._ingest_stub.DeleteClip, ingest_pb2.DeleteClipRequest(name=name))

    def create_dataset(
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
        return self._ingest.unary(self._ingest_stub.CreateDataset, request)

    def get_dataset(self, name: str) -> ingest_pb2.Dataset:
        """The dataset ``datasets/{d}``."""
        return self._ingest.unary(self._ingest_stub.GetDataset, ingest_pb2.GetDatasetRequest(name=name))

    def list_datasets(self, *, page_size: int = 0) -> Iterator[ingest_pb2.Dataset]:
        """All datasets."""
        request = ingest_pb2.ListDatasetsRequest(page_size=page_size)
        return self._ingest.pages(self._ingest_stub.ListDatasets, request, lambda page: page.datasets)

    def delete_dataset(self, name: str) -> None:
        """Deletes a dataset; its clips stay."""
        self._ingest.unary(self._ingest_stub.DeleteDataset, ingest_pb2.DeleteDatasetRequest(name=name))

    # -- searches

    def validate_search(self, search: search_pb2.Search, *, search_id: str = "") -> search_pb2.Search:
        """Checks a search without starting it; returns it with every default filled in."""
        request = search_pb2.ValidateSearchRequest(search_id=search_id, search=search)
        return self._search.unary(self._search_stub.ValidateSearch, request)

    def create_search(
        self, search: search_pb2.Search, *, search_id: str = "", request_id: str = ""
    ) -> search_pb2.Search:
        """Starts a search."""
        request = search_pb2.CreateSearchRequest(
            search_id=search_id, search=search, request_id=requests.request_id(request_id)
        )
        return self._search.unary(self._search_stub.CreateSearch, request)

    def get_search(self, name: str) -> search_pb2.Search:
        """The search ``searches/{s}``."""
        return self._search.unary(self._search_stub.GetSearch, search_pb2.GetSearchRequest(name=name))

    def list_searches(self, *, page_size: int = 0) -> Iterator[search_pb2.Search]:
        """All searches."""
        request = search_pb2.ListSearchesRequest(page_size=page_size)
        return self._search.pages(self._search_stub.ListSearches, request, lambda page: page.searches)

    def cancel_search(self, name: str) -> search_pb2.Search:
        """Stops a search; running trials end at their next step."""
        return self._search.unary(self._search_stub.CancelSearch, search_pb2.CancelSearchRequest(name=name))

    def watch_search(self, name: str) -> Iterator[search_pb2.SearchUpdate]:
        """A snapshot, then what changes, until the search has ended; survives a restart of the service."""
        request = search_pb2.WatchSearchRequest(name=name)
        return self._search.watch(self._search_stub.WatchSearch, request, requests.update_is_last)

    def get_trial(self, name: str) -> search_pb2.Trial:
        """The trial ``searches/{s}/trials/{t}``."""
        return self._search.unary(self._search_stub.GetTrial, search_pb2.GetTrialRequest(name=name))

    def list_trials(self, search: str, *, page_size: int = 0) -> Iterator[search_pb2.Trial]:
        """All trials of ``searches/{s}``."""
        request = search_pb2.ListTrialsRequest(parent=search, page_size=page_size)
        return self._search.pages(self._search_stub.ListTrials, request, lambda page: page.trials)

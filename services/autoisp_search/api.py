"""The gRPC servicer: decode, call the use case, encode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_core.names import SEARCH, TRIAL
from autoisp_core.pagination import PageRequest

from autoisp_search.domain import SearchView
from autoisp_search.usecases import Changes, Searches, SearchStore, watch
from autoisp_search.wire.searches import draft_from, search_to, trial_to, view_to


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """Serves ``autoisp.search.v1.SearchService``. Errors are raised: the interceptor translates them."""

    def __init__(self, searches: Searches, store: SearchStore, changes: Changes) -> None:
        self._searches = searches
        self._store = store
        self._changes = changes

    async def ValidateSearch(  # noqa: N802
        self, request: search_pb2.ValidateSearchRequest, context: Any
    ) -> search_pb2.Search:
        """See the proto."""
        return search_to(await self._searches.validate(draft_from(request.search), request.search_id))

    async def CreateSearch(  # noqa: N802
        self, request: search_pb2.CreateSearchRequest, context: Any
    ) -> search_pb2.Search:
        """See the proto."""
        draft = draft_from(request.search)
        return view_to(await self._searches.create(draft, request.search_id, request.request_id))

    async def GetSearch(  # noqa: N802
        self, request: search_pb2.GetSearchRequest, context: Any
    ) -> search_pb2.Search:
        """See the proto."""
        return view_to(await self._searches.get(*SEARCH.parse(request.name)))

    async def ListSearches(  # noqa: N802
        self, request: search_pb2.ListSearchesRequest, context: Any
    ) -> search_pb2.ListSearchesResponse:
        """See the proto."""
        page = await self._searches.page(PageRequest.parse(request.page_size, request.page_token))
        return search_pb2.ListSearchesResponse(
            searches=map(view_to, page.items), next_page_token=page.next_page_token
        )

    async def CancelSearch(  # noqa: N802
        self, request: search_pb2.CancelSearchRequest, context: Any
    ) -> search_pb2.Search:
        """See the proto."""
        return view_to(await self._searches.cancel(*SEARCH.parse(request.name)))

    async def WatchSearch(  # noqa: N802
        self, request: search_pb2.WatchSearchRequest, context: Any
    ) -> AsyncIterator[search_pb2.SearchUpdate]:
        """See the proto."""
        (search_id,) = SEARCH.parse(request.name)
        async for change in watch(self._store, self._changes, search_id):
            if isinstance(change, SearchView):
                yield search_pb2.SearchUpdate(search=view_to(change))
            else:
                yield search_pb2.SearchUpdate(trial=trial_to(change))

    async def GetTrial(  # noqa: N802
        self, request: search_pb2.GetTrialRequest, context: Any
    ) -> search_pb2.Trial:
        """See the proto."""
        return trial_to(await self._searches.trial(*TRIAL.parse(request.name)))

    async def ListTrials(  # noqa: N802
        self, request: search_pb2.ListTrialsRequest, context: Any
    ) -> search_pb2.ListTrialsResponse:
        """See the proto."""
        (search_id,) = SEARCH.parse(request.parent, "parent")
        page_request = PageRequest.parse(request.page_size, request.page_token, query=request.parent)
        page = await self._searches.trials_page(search_id, page_request)
        return search_pb2.ListTrialsResponse(
            trials=map(trial_to, page.items), next_page_token=page.next_page_token
        )

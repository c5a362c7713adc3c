"""Calls of callers that are bound to a project: their requests checked, their answers filtered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from autoisp_core.errors import AutoISPError
from autoisp_core.pagination import MAX_PAGE_SIZE
from google.protobuf.message import Message

from autoisp_runtime.grpc_errors import abort
from autoisp_runtime.security.projects import Project, is_page

Behaviour = Callable[[Any, Any], Any]


class ProjectCall:
    """One call.

    Args:
        project: of the caller.
        denied: told of what is refused, before the caller is.
    """

    def __init__(self, project: Project, denied: Callable[[AutoISPError], None]) -> None:
        self._project, self._denied = project, denied

    async def unary(self, behaviour: Behaviour, request: Any, context: Any) -> Any:
        """Call the handler of a method with one answer."""
        request = await self._checked(request, context)
        answer = await behaviour(request, context)
        if not isinstance(answer, Message):
            return answer
        if is_page(answer):
            return await self._page(behaviour, request, context, answer)
        if not self._project.filtered(answer):
            await self._refuse(self._project.refused(), context)
        return answer

    async def streaming(self, behaviour: Behaviour, request: Any, context: Any) -> Any:
        """What a handler with many answers is to be called with."""
        return behaviour(await self._checked(request, context), _Filtering(context, self._project))

    async def _page(self, behaviour: Behaviour, request: Any, context: Any, page: Any) -> Any:
        """A page that says that there is more only if there is more of the project's own.

        If it said so for what others have, a filter would tell whether they have it.
        """
        asked = type(request)()
        asked.CopyFrom(request)
        while not self._project.filtered(page) and page.next_page_token:
            asked.page_token = page.next_page_token
            page = await behaviour(asked, context)
        token = page.next_page_token
        asked.page_size = MAX_PAGE_SIZE  # only whether anything follows
        while token:
            asked.page_token = token
            following = await behaviour(asked, context)
            if self._project.filtered(following):
                break
            token = following.next_page_token
        if not token:
            page.next_page_token = ""
        self._project.seal(page)
        return page

    async def _checked(self, request: Any, context: Any) -> Any:
        if hasattr(request, "__aiter__"):
            return self._each_checked(request)
        try:
            self._check(request)
        except AutoISPError as error:
            await self._refuse(error, context)
        return request

    async def _each_checked(self, requests: Any) -> AsyncIterator[Any]:
        async for request in requests:
            try:
                self._check(request)
            except AutoISPError as error:
                self._denied(error)
                raise
            yield request

    def _check(self, request: Any) -> None:
        if isinstance(request, Message):  # what can't be decoded is refused further in
            self._project.check(request)

    async def _refuse(self, error: AutoISPError, context: Any) -> None:
        self._denied(error)
        await abort(context, error)


class _Filtering:
    """A call's context that sends nothing of other projects."""

    def __init__(self, context: Any, project: Project) -> None:
        self._context, self._project = context, project

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def write(self, message: Any) -> None:
        if self._project.filtered(message):
            await self._context.write(message)

"""The asyncio twin of :mod:`autoisp_client.connection`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

import grpc
from autoisp_core.errors import AutoISPError

from autoisp_client.access import PLAIN, Access
from autoisp_client.acting import Metadata
from autoisp_client.faults import Backoff, cut_short, explain

R = TypeVar("R")


class AsyncConnection:
    """A channel to one service; arguments as of :class:`autoisp_client.connection.Connection`."""

    def __init__(
        self, service: str, address: str, patience: float, metadata: Metadata = (), access: Access = PLAIN
    ) -> None:
        self.service, self.address, self.patience, self.metadata = service, address, patience, metadata
        self.channel = access.aio_channel(address)

    async def unary(
        self, call: Callable[..., Awaitable[R]], request: Any, *, repeat: bool = True, deadline: float = 60.0
    ) -> R:
        """Calls with a deadline of ``deadline`` seconds an attempt."""

        async def once() -> R:
            return await call(request, timeout=deadline, metadata=self.metadata)

        return await self.attempt(once, repeat=repeat)

    async def attempt(
        self,
        action: Callable[[], Awaitable[R]],
        *,
        repeat: bool = True,
        pause: Callable[[AutoISPError], float] | None = None,
    ) -> R:
        """Runs ``action``; again while nobody answers, if ``repeat``, or as ``pause`` tells."""
        pause = pause or Backoff(self.patience if repeat else 0.0).pause
        while True:
            try:
                return await action()
            except grpc.RpcError as error:
                ours = explain(error, self.service, self.address)
            except AutoISPError as error:
                ours = error
            await asyncio.sleep(pause(ours))

    async def stream(self, call: Callable[..., AsyncIterable[R]], request: Any) -> AsyncGenerator[R, None]:
        """Opens a server stream and yields its messages; closes it when the caller stops."""
        responses: Any = call(request, metadata=self.metadata)
        try:
            async for response in responses:
                yield response
        except grpc.RpcError as error:
            raise explain(error, self.service, self.address) from error
        finally:
            responses.cancel()

    async def watch(
        self, call: Callable[..., AsyncIterable[R]], request: Any, is_last: Callable[[R], bool]
    ) -> AsyncIterator[R]:
        """A server stream that begins with a snapshot: opened again when it breaks, until ``is_last``."""
        backoff = Backoff(self.patience)
        while True:
            try:
                async for message in self.stream(call, request):
                    backoff.reset()
                    yield message
                    if is_last(message):
                        return
                pause = backoff.pause(cut_short(self.service, self.address))
            except AutoISPError as error:
                pause = backoff.pause(error)
            await asyncio.sleep(pause)

    async def pages(
        self, call: Callable[..., Awaitable[Any]], request: Any, items: Callable[[Any], Iterable[R]]
    ) -> AsyncIterator[R]:
        """All items of a List method, page by page as they are needed."""
        while True:
            response = await self.unary(call, request)
            for item in items(response):
                yield item
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    async def close(self) -> None:
        """Ends every call."""
        await self.channel.close()
